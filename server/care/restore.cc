#include "server/care/restore.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/care/backup.h"
#include "server/care/scratch.h"
#include "server/store/artifacts.h"
#include "server/store/audit_rows.h"
#include "server/store/data_dir.h"
#include "server/store/file_error.h"
#include "server/store/schema.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"

namespace modlab {
namespace {

absl::StatusOr<int64_t> ReadNumber(Connection* connection, absl::string_view sql) {
  Statement row = connection->Prepare(sql);
  const absl::StatusOr<bool> found = row.Step();
  if (!found.ok()) return found.status();
  return *found ? row.Int(0) : 0;
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", path);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? absl::OkStatus() : FileError(error, "write", path);
}

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// What the file says of itself, once it is known to be a backup and whole.
absl::StatusOr<Restored> CheckBackup(Connection* backup) {
  const std::string& file = backup->path();
  const absl::StatusOr<int64_t> tables =
      ReadNumber(backup,
                 "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN"
                 "  ('backup', 'backup_pieces', 'jobs')");
  if (!tables.ok() || *tables != 3) {
    return absl::InvalidArgumentError(absl::StrCat(file, " is no backup that modlab has made"));
  }
  const absl::StatusOr<int64_t> version = ReadSchemaVersion(backup);
  if (!version.ok()) return version.status();
  const absl::StatusOr<int64_t> format = ReadNumber(backup, "SELECT format FROM backup");
  if (!format.ok()) return format.status();
  if (*version > static_cast<int64_t>(Migrations().size()) || *format > kBackupFormat) {
    return absl::FailedPreconditionError(absl::StrCat(
        file, " is of schema version ", *version, " and format ", *format, ", and this modlab (",
        MODLAB_VERSION, ") knows versions up to ", Migrations().size(), " and ", kBackupFormat,
        ": a newer modlab made it. Use that version of modlab"));
  }
  const absl::StatusOr<std::vector<std::string>> broken = FindBrokenPages(backup);
  if (!broken.ok()) return broken.status();
  if (!broken->empty()) {
    return absl::DataLossError(absl::StrCat(file, " is damaged: ", broken->front()));
  }
  Statement row = backup->Prepare(
      "SELECT created_us, artifacts, (SELECT count(*) FROM sweeps), (SELECT count(*) FROM jobs),"
      "       (SELECT count(*) FROM jobs WHERE state IN (1, 2)) FROM backup");
  const absl::StatusOr<bool> found = row.Step();
  if (!found.ok()) return found.status();
  if (!*found) return absl::InvalidArgumentError(absl::StrCat(file, " is no whole backup"));
  Restored restored;
  restored.created_us = row.Int(0);
  restored.with_artifacts = row.Int(1) != 0;
  restored.sweeps = row.Int(2);
  restored.jobs = row.Int(3);
  restored.unfinished = row.Int(4);
  return restored;
}

absl::Status RestoreArtifact(Connection* backup, const Artifacts& artifacts,
                             const std::string& sha256) {
  absl::StatusOr<std::unique_ptr<ArtifactUpload>> upload = artifacts.Create();
  if (!upload.ok()) return upload.status();
  Statement piece = backup->Prepare("SELECT data FROM backup_pieces WHERE sha256 = ? ORDER BY n");
  piece.BindText(sha256);
  for (;;) {
    const absl::StatusOr<bool> more = piece.Step();
    if (!more.ok()) return more.status();
    if (!*more) break;
    absl::Status status = (*upload)->Append(piece.Blob(0));
    if (!status.ok()) return status;
  }
  const absl::StatusOr<Artifact> artifact = (*upload)->Seal();
  if (!artifact.ok()) return artifact.status();
  if (artifact->sha256 != sha256) {
    return absl::DataLossError(absl::StrCat(backup->path(), " is damaged: artifact ", sha256,
                                            " in it has the SHA-256 ", artifact->sha256));
  }
  return (*upload)->Publish();
}

// Every artifact that a row speaks of; returns how many.
absl::StatusOr<int64_t> RestoreArtifacts(Connection* backup, const Artifacts& artifacts) {
  int64_t count = 0;
  absl::Status status = ScanArtifactRows(backup, [&](const ArtifactRow& row) {
    ++count;
    return RestoreArtifact(backup, artifacts, row.sha256);
  });
  if (!status.ok()) return status;
  return count;
}

// The store's own tables of the attached `backup`, row by row: the file's pages of
// artifacts are left behind.
absl::Status CopyTables(Connection* store) {
  std::vector<std::pair<std::string, std::string>> tables;  // name, SQL
  std::vector<std::string> others;
  {
    Statement row = store->Prepare(
        "SELECT type, name, sql FROM backup.sqlite_schema"
        "  WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        "    AND tbl_name NOT IN ('backup', 'backup_pieces') ORDER BY rowid");
    for (;;) {
      const absl::StatusOr<bool> more = row.Step();
      if (!more.ok()) return more.status();
      if (!*more) break;
      std::string sql(row.Text(2));
      if (row.Text(0) == "table") {
        tables.emplace_back(std::string(row.Text(1)), std::move(sql));
      } else {
        others.push_back(std::move(sql));
      }
    }
  }
  absl::Status status = store->Execute("BEGIN");
  for (const auto& [name, sql] : tables) {
    if (status.ok()) status = store->Execute(sql);
    if (status.ok()) {
      status = store->Execute(
          absl::StrCat("INSERT INTO main.\"", name, "\" SELECT * FROM backup.\"", name, "\""));
    }
  }
  if (status.ok()) {
    status = store->Execute(
        "DELETE FROM main.sqlite_sequence;"
        "INSERT INTO main.sqlite_sequence SELECT * FROM backup.sqlite_sequence;");
  }
  for (const std::string& sql : others) {
    if (status.ok()) status = store->Execute(sql);
  }
  const absl::StatusOr<int64_t> version = ReadNumber(store, "PRAGMA backup.user_version");
  if (!version.ok()) return version.status();
  if (status.ok()) status = store->Execute(absl::StrCat("PRAGMA user_version = ", *version));
  return status.ok() ? store->Execute("COMMIT") : status;
}

absl::Status CopyDatabase(const std::string& from, const std::string& to) {
  absl::StatusOr<std::unique_ptr<Connection>> store =
      Connection::Open(to, Connection::Mode::kReadWriteCreate);
  if (!store.ok()) return store.status();
  absl::Status status = (*store)->Prepare("ATTACH ? AS backup").BindText(from).Run();
  return status.ok() ? CopyTables(store->get()) : status;
}

// RUNNING jobs are handed back, as their workers would; events tell.
absl::Status ReleaseJobs(const std::string& directory, int64_t created_us, int64_t now_us) {
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory);
  if (!store.ok()) return store.status();
  Store::Writer* const writer = (*store)->writer();
  std::vector<UnfinishedJob> running;
  absl::Status status = writer->LoadUnfinished([&](const UnfinishedJob& job) {
    if (job.state == v1::RUNNING) running.push_back(job);
  });
  if (status.ok()) status = writer->Begin();
  const std::string reason =
      absl::StrCat("the store was restored from the backup of ",
                   absl::FormatTime(absl::FromUnixMicros(created_us), absl::UTCTimeZone()));
  for (const UnfinishedJob& job : running) {
    if (status.ok())
      status = writer->ReleaseJob(job.id, job.checkpoint.iteration(), reason, now_us);
  }
  return status.ok() ? writer->Commit() : status;
}

absl::Status LeaveEarlierWorkersBehind(const std::string& database) {
  absl::StatusOr<std::unique_ptr<Connection>> store =
      Connection::Open(database, Connection::Mode::kReadWriteCreate);
  if (!store.ok()) return store.status();
  return (*store)->Execute(
      absl::StrCat("BEGIN;"
                   "UPDATE jobs SET attempt = attempt + ",
                   kRestoredAttempts,
                   " WHERE state <> 3;"
                   "INSERT INTO sqlite_sequence (name, seq) SELECT 'jobs', 0"
                   "  WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'jobs');"
                   "UPDATE sqlite_sequence SET seq = seq + ",
                   kRestoredJobIds,
                   " WHERE name = 'jobs';"
                   "COMMIT;"));
}

}  // namespace

absl::StatusOr<Restored> Restore(const std::string& file, const std::string& data_dir,
                                 int64_t now_us) {
  if (!Exists(file)) return absl::FailedPreconditionError(absl::StrCat("there is no file ", file));
  absl::StatusOr<std::unique_ptr<Connection>> backup =
      Connection::Open(file, Connection::Mode::kReadOnly);
  if (!backup.ok()) return backup.status();
  const std::string database = data_dir + "/modlab.db";
  const auto refuse_store = [&] {
    return Exists(database) ? absl::FailedPreconditionError(absl::StrCat(
                                  data_dir, " has a store already; restore into another directory"))
                            : absl::OkStatus();
  };
  absl::Status status = refuse_store();
  if (!status.ok()) return status;
  absl::StatusOr<Restored> restored = CheckBackup(backup->get());
  if (!restored.ok()) return restored.status();

  const absl::StatusOr<std::unique_ptr<DataDir>> lock = DataDir::Acquire(data_dir);
  if (!lock.ok()) return lock.status();
  status = refuse_store();
  if (!status.ok()) return status;
  const absl::StatusOr<std::unique_ptr<Artifacts>> artifacts = Artifacts::Open(data_dir);
  if (!artifacts.ok()) return artifacts.status();
  const absl::StatusOr<int64_t> count = RestoreArtifacts(backup->get(), **artifacts);
  if (!count.ok()) return count.status();
  restored->artifacts = *count;

  // Under another name until it is whole.
  const absl::StatusOr<std::unique_ptr<ScratchDirectory>> scratch =
      ScratchDirectory::Create(data_dir);
  if (!scratch.ok()) return scratch.status();
  const std::string partial = (*scratch)->path() + "/modlab.db";
  status = CopyDatabase(file, partial);
  if (status.ok()) status = ReleaseJobs((*scratch)->path(), restored->created_us, now_us);
  if (status.ok()) status = LeaveEarlierWorkersBehind(partial);
  if (!status.ok()) return status;
  std::error_code error;
  std::filesystem::rename(partial, database, error);
  if (error) return FileError(error.value(), "write", database);
  status = SyncDirectory(data_dir);
  if (!status.ok()) return status;
  return restored;
}

}  // namespace modlab
