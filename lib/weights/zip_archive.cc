#include "lib/weights/zip_archive.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace modlab {
namespace {

constexpr uint16_t kMidnight = 0;             // as the format writes times ...
constexpr uint16_t kJanuaryFirst1980 = 0x21;  // ... and days

struct CloseFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Source = std::unique_ptr<zip_source_t, FreeSource>;

struct Error {
  Error() { zip_error_init(&value); }
  ~Error() { zip_error_fini(&value); }
  Error(const Error&) = delete;
  Error& operator=(const Error&) = delete;
  zip_error_t value;
};

absl::Status NotWritten(zip_error_t* error) {
  return absl::InternalError(
      absl::StrCat("a zip archive could not be written: ", zip_error_strerror(error)));
}

absl::Status AddEntry(zip_t* archive, const ZipEntry& entry) {
  Source source(zip_source_buffer(archive, entry.bytes.data(), entry.bytes.size(), /*freep=*/0));
  if (source == nullptr) return NotWritten(zip_get_error(archive));
  const zip_int64_t index = zip_file_add(archive, entry.name.c_str(), source.get(), 0);
  if (index < 0) return NotWritten(zip_get_error(archive));
  source.release();  // the archive's, from here on
  const auto added = static_cast<zip_uint64_t>(index);
  if (zip_set_file_compression(archive, added, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, added, kMidnight, kJanuaryFirst1980, 0) != 0) {
    return NotWritten(zip_get_error(archive));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> AllOf(zip_source_t* source) {
  zip_stat_t stat;
  if (zip_source_stat(source, &stat) != 0 || zip_source_open(source) != 0) {
    return NotWritten(zip_source_error(source));
  }
  std::string bytes(stat.size, '\0');
  const zip_int64_t read = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  if (read < 0 || static_cast<size_t>(read) != bytes.size()) {
    return NotWritten(zip_source_error(source));
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> WriteZip(const std::vector<ZipEntry>& entries) {
  Error error;
  const Source memory(zip_source_buffer_create(nullptr, 0, 0, &error.value));
  if (memory == nullptr) return NotWritten(&error.value);
  std::unique_ptr<zip_t, DiscardZip> archive(
      zip_open_from_source(memory.get(), ZIP_TRUNCATE, &error.value));
  if (archive == nullptr) return NotWritten(&error.value);
  zip_source_keep(memory.get());  // the archive lets go of it when it is closed
  for (const ZipEntry& entry : entries) {
    if (absl::Status status = AddEntry(archive.get(), entry); !status.ok()) return status;
  }
  if (zip_close(archive.get()) != 0) return NotWritten(zip_get_error(archive.get()));
  archive.release();  // zip_close freed it
  return AllOf(memory.get());
}

absl::StatusOr<ZipReader> ZipReader::Open(absl::string_view bytes) {
  Error error;
  Source source(zip_source_buffer_create(bytes.data(), bytes.size(), /*freep=*/0, &error.value));
  zip_t* archive =
      source == nullptr ? nullptr : zip_open_from_source(source.get(), ZIP_RDONLY, &error.value);
  if (archive == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a readable zip archive: ", zip_error_strerror(&error.value)));
  }
  source.release();  // the archive's, from here on
  return ZipReader(archive, bytes.size());
}

std::string ZipReader::FirstName() const {
  const char* name = zip_get_name(archive_.get(), 0, 0);
  return name == nullptr ? "" : name;
}

bool ZipReader::Has(const std::string& name) const {
  return zip_name_locate(archive_.get(), name.c_str(), 0) >= 0;
}

absl::StatusOr<std::string> ZipReader::Read(const std::string& name) {
  const auto damaged = [&name](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::CEscape(name), " in the zip archive: ", what));
  };
  const zip_int64_t index = zip_name_locate(archive_.get(), name.c_str(), 0);
  zip_stat_t stat;
  if (index < 0 ||
      zip_stat_index(archive_.get(), static_cast<zip_uint64_t>(index), 0, &stat) != 0) {
    return damaged("there is none");
  }
  if (stat.comp_method != ZIP_CM_STORE || stat.encryption_method != ZIP_EM_NONE) {
    return damaged("is compressed or encrypted, not stored");
  }
  if (stat.size != stat.comp_size || stat.size > unread_) {
    return damaged("is longer than the file, or overlaps others");
  }
  unread_ -= stat.size;
  const std::unique_ptr<zip_file_t, CloseFile> file(
      zip_fopen_index(archive_.get(), static_cast<zip_uint64_t>(index), 0));
  if (file == nullptr) return damaged(zip_strerror(archive_.get()));
  std::string bytes(stat.size, '\0');
  const zip_int64_t read = zip_fread(file.get(), bytes.data(), bytes.size());
  // libzip compares the checksum when it is asked for more than there is.
  char end;
  if (read < 0 || static_cast<size_t>(read) != bytes.size() ||
      zip_fread(file.get(), &end, 1) != 0) {
    return damaged("its bytes are damaged");
  }
  return bytes;
}

}  // namespace modlab
