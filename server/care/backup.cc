#include "server/care/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "modlab/v1/job.pb.h"
#include "server/care/artifact_pins.h"
#include "server/store/audit_rows.h"
#include "server/store/file_error.h"
#include "server/store/message_blob.h"
#include "server/store/sqlite.h"

namespace modlab {
namespace {

constexpr char kTables[] =
    "CREATE TABLE backup ("
    "  format INTEGER NOT NULL, created_us INTEGER NOT NULL, modlab_version TEXT NOT NULL,"
    "  artifacts INTEGER NOT NULL) STRICT;"
    "CREATE TABLE backup_pieces ("
    "  sha256 TEXT NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,"
    "  PRIMARY KEY (sha256, n)) STRICT;";

// Left free for those who write meanwhile.
constexpr int64_t kMarginBytes = int64_t{16} << 20;
// A file may be collected between the snapshot and its pin; then the snapshot is old.
constexpr int kSnapshotsMax = 3;

constexpr char kWhatToDo[] =
    ". `modlab audit` tells what is wrong; `modlab backup --without-artifacts` does without them";

class Maker {
 public:
  Maker(const std::string& data_dir, const std::string& scratch, bool with_artifacts,
        const std::function<bool()>& go_on)
      : data_dir_(data_dir),
        scratch_(scratch),
        with_artifacts_(with_artifacts),
        go_on_(go_on),
        pins_(data_dir, PinsDir()) {}

  std::string path() const { return scratch_ + "/backup.db"; }

  absl::Status Make(int64_t now_us) {
    std::error_code error;
    std::filesystem::create_directory(PinsDir(), error);
    if (error) return FileError(error.value(), "create directory", PinsDir());
    absl::Status status = CopyDatabase();
    if (!status.ok()) return status;
    // The copy is nobody else's, and worth nothing before it is whole.
    status =
        copy_->Execute(absl::StrCat("PRAGMA journal_mode = DELETE;"
                                    "PRAGMA journal_mode = OFF;"
                                    "PRAGMA synchronous = OFF;"
                                    "BEGIN;",
                                    kTables));
    if (status.ok()) {
      status = copy_->Prepare("INSERT INTO backup VALUES (?, ?, ?, ?)")
                   .Bind(kBackupFormat)
                   .Bind(now_us)
                   .BindText(MODLAB_VERSION)
                   .Bind(with_artifacts_ ? 1 : 0)
                   .Run();
    }
    if (status.ok()) status = with_artifacts_ ? AddArtifacts() : RemoveReferences();
    if (status.ok()) status = copy_->Execute("COMMIT");
    if (status.ok()) status = CheckCopy();
    copy_.reset();
    return status;
  }

 private:
  std::string PinsDir() const { return scratch_ + "/pins"; }

  absl::Status GoOn() const {
    return go_on_() ? absl::OkStatus() : absl::CancelledError("nobody waits for the backup");
  }

  absl::Status CopyDatabase() {
    for (int tries = 1;; ++tries) {
      absl::StatusOr<std::unique_ptr<Connection>> snapshot =
          Connection::Open(data_dir_ + "/modlab.db", Connection::Mode::kReadOnly);
      if (!snapshot.ok()) return snapshot.status();
      absl::Status status = (*snapshot)->Execute("PRAGMA busy_timeout = 10000; BEGIN;");
      if (!status.ok()) return status;
      const absl::StatusOr<int64_t> first_read = ReadSchemaVersion(snapshot->get());
      if (!first_read.ok()) return first_read.status();
      status = with_artifacts_ ? PinArtifacts(snapshot->get()) : absl::OkStatus();
      if (absl::IsNotFound(status) && tries < kSnapshotsMax) continue;
      if (absl::IsNotFound(status)) {
        return absl::DataLossError(
            absl::StrCat(std::string(status.message()), ", though jobs refer to it", kWhatToDo));
      }
      if (status.ok()) status = CheckSpace(snapshot->get());
      if (!status.ok()) return status;
      absl::StatusOr<std::unique_ptr<Connection>> copy =
          Connection::Open(path(), Connection::Mode::kReadWriteCreate);
      if (!copy.ok()) return copy.status();
      copy_ = *std::move(copy);
      return (*snapshot)->CopyTo(copy_.get(), go_on_);
    }
  }

  absl::Status PinArtifacts(Connection* snapshot) {
    pinned_.clear();
    pinned_bytes_ = 0;
    return ScanArtifactRows(snapshot, [this](const ArtifactRow& row) {
      if (row.references == 0) return absl::OkStatus();
      const absl::StatusOr<int64_t> bytes = pins_.Pin(row.sha256);
      if (!bytes.ok()) return bytes.status();
      pinned_.push_back(row.sha256);
      pinned_bytes_ += *bytes;
      return GoOn();
    });
  }

  absl::Status CheckSpace(Connection* snapshot) const {
    Statement size =
        snapshot->Prepare("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    const absl::StatusOr<bool> row = size.Step();
    if (!row.ok()) return row.status();
    std::error_code error;
    const std::filesystem::space_info space = std::filesystem::space(scratch_, error);
    if (error) return FileError(error.value(), "read", scratch_);
    const int64_t needed_bytes = size.Int(0) + pinned_bytes_ + kMarginBytes;
    if (static_cast<uint64_t>(needed_bytes) <= space.available) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat("the backup needs ", needed_bytes,
                                                     " bytes on the disk of ", data_dir_, ", and ",
                                                     space.available, " are free"));
  }

  absl::Status AddArtifacts() {
    absl::Status status = copy_->Execute("DELETE FROM artifacts WHERE refs = 0");
    for (const std::string& sha256 : pinned_) {
      if (!status.ok()) return status;
      int64_t n = 0;
      status = pins_.Read(sha256, [&](absl::string_view piece) {
        absl::Status added = copy_->Prepare("INSERT INTO backup_pieces VALUES (?, ?, ?)")
                                 .BindText(sha256)
                                 .Bind(n++)
                                 .BindBlob(piece)
                                 .Run();
        return added.ok() ? GoOn() : added;
      });
      if (absl::IsDataLoss(status)) {
        return absl::DataLossError(absl::StrCat(std::string(status.message()), kWhatToDo));
      }
    }
    return status;
  }

  absl::Status RemoveReferences() {
    absl::Status status = copy_->Execute(
        "DELETE FROM artifact_refs;"
        "DELETE FROM artifacts;"
        "UPDATE jobs SET checkpoint_iteration = -1, checkpoint_sha256 = '', checkpoint_bytes = 0;"
        "UPDATE jobs SET iteration = 0 WHERE state = 1;");
    if (!status.ok()) return status;
    std::vector<int64_t> jobs;
    {
      Statement row = copy_->Prepare("SELECT job FROM results");
      for (;;) {
        const absl::StatusOr<bool> more = row.Step();
        if (!more.ok()) return more.status();
        if (!*more) break;
        jobs.push_back(row.Int(0));
      }
    }
    for (const int64_t job : jobs) {
      status = RemoveWeights(job);
      if (status.ok()) status = GoOn();
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status RemoveWeights(int64_t job) {
    v1::JobResult result;
    {
      Statement row = copy_->Prepare("SELECT result FROM results WHERE job = ?");
      const absl::StatusOr<bool> found = row.Bind(job).Step();
      if (!found.ok()) return found.status();
      absl::Status status = ParseBlob(*copy_, row.Blob(0), &result);
      if (!status.ok()) return status;
    }
    result.clear_checkpoint_sha256();
    if (result.has_best()) result.mutable_best()->clear_checkpoint_sha256();
    const std::string blob = result.SerializeAsString();
    return copy_->Prepare("UPDATE results SET result = ? WHERE job = ?")
        .BindBlob(blob)
        .Bind(job)
        .Run();
  }

  // A damaged backup is none.
  absl::Status CheckCopy() {
    const absl::StatusOr<std::vector<std::string>> broken = FindBrokenPages(copy_.get());
    if (!broken.ok()) return broken.status();
    if (broken->empty()) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(data_dir_, "/modlab.db is damaged: ", broken->front(),
                                            ". `modlab audit` tells more"));
  }

  const std::string data_dir_;
  const std::string scratch_;
  const bool with_artifacts_;
  const std::function<bool()>& go_on_;
  ArtifactPins pins_;
  std::vector<std::string> pinned_;
  int64_t pinned_bytes_ = 0;
  std::unique_ptr<Connection> copy_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Backup>> Backup::Make(const std::string& data_dir,
                                                     bool with_artifacts, int64_t now_us,
                                                     const std::function<bool()>& go_on) {
  absl::StatusOr<std::unique_ptr<ScratchDirectory>> scratch = ScratchDirectory::Create(data_dir);
  if (!scratch.ok()) return scratch.status();
  Maker maker(data_dir, (*scratch)->path(), with_artifacts, go_on);
  absl::Status status = maker.Make(now_us);
  if (!status.ok()) return status;
  const int fd = open(maker.path().c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", maker.path());
  struct stat facts = {};
  const int result = fstat(fd, &facts);
  std::unique_ptr<Backup> backup(new Backup(*std::move(scratch), maker.path(), fd, facts.st_size));
  if (result != 0) return FileError(errno, "read", maker.path());
  return backup;
}

Backup::~Backup() { close(fd_); }

absl::StatusOr<std::string> Backup::Next(size_t bytes_max) {
  std::string piece(std::min(bytes_max, static_cast<size_t>(size_bytes_ - read_bytes_)), '\0');
  size_t filled = 0;
  while (filled < piece.size()) {
    const ssize_t got = read(fd_, &piece[filled], piece.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "read", path_);
    if (got == 0) return absl::DataLossError(absl::StrCat(path_, " was cut short"));
    filled += static_cast<size_t>(got);
  }
  hash_.Update(piece);
  read_bytes_ += static_cast<int64_t>(filled);
  return piece;
}

}  // namespace modlab
