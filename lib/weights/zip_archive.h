// Zip archives in memory whose entries are stored as they are, without
// compression: the container of PyTorch's files. Built on libzip.

#ifndef MODLAB_LIB_WEIGHTS_ZIP_ARCHIVE_H_
#define MODLAB_LIB_WEIGHTS_ZIP_ARCHIVE_H_

#include <zip.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

struct ZipEntry {
  std::string name;
  absl::string_view bytes;
};

// An archive of one entry or more, in their order. Equal entries give equal
// bytes: every entry is dated 1980-01-01. Thread-safe.
absl::StatusOr<std::string> WriteZip(const std::vector<ZipEntry>& entries);

struct DiscardZip {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};

// Reads entries of an archive that may be hostile. Not thread-safe.
class ZipReader {
 public:
  // `bytes` are not copied and have to outlive the reader. INVALID_ARGUMENT if
  // they are no zip archive; no bytes at all are an empty one.
  static absl::StatusOr<ZipReader> Open(absl::string_view bytes);

  // The name of the first entry; empty if there is none.
  std::string FirstName() const;
  bool Has(const std::string& name) const;
  // INVALID_ARGUMENT if there is no such entry, it is compressed or damaged. All
  // that is read from one archive takes no more memory than the archive: entries
  // that overlap, as those of a zip bomb do, come to an end there.
  absl::StatusOr<std::string> Read(const std::string& name);

 private:
  ZipReader(zip_t* archive, uint64_t bytes) : archive_(archive), unread_(bytes) {}

  std::unique_ptr<zip_t, DiscardZip> archive_;
  uint64_t unread_;  // how many bytes may still be read
};

}  // namespace modlab

#endif  // MODLAB_LIB_WEIGHTS_ZIP_ARCHIVE_H_
