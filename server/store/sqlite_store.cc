#include "server/store/sqlite_store.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/curve_rows.h"
#include "server/store/event_rows.h"
#include "server/store/figure_rows.h"
#include "server/store/job_filter.h"
#include "server/store/job_rows.h"
#include "server/store/migration_functions.h"
#include "server/store/page_token.h"
#include "server/store/prune.h"
#include "server/store/schema.h"
#include "server/store/sweep_rows.h"

namespace modlab {
namespace {

constexpr int kReadersMax = 8;

// Which jobs a scan visits.
struct Selection {
  std::optional<int64_t> sweep;
  JobFilter filter;
};

absl::StatusOr<Selection> Select(Connection* connection, absl::string_view sweep,
                                 const std::vector<v1::FieldFilter>& filters) {
  absl::StatusOr<JobFilter> filter = JobFilter::Parse(filters);
  if (!filter.ok()) return filter.status();
  Selection selection{std::nullopt, *std::move(filter)};
  if (sweep.empty()) return selection;
  const absl::StatusOr<int64_t> found = FindSweep(connection, sweep);
  if (!found.ok()) return found.status();
  selection.sweep = *found;
  return selection;
}

absl::Status LimitSize(Connection* connection, int64_t bytes_max) {
  Statement page = connection->Prepare("PRAGMA page_size");
  const absl::StatusOr<bool> row = page.Step();
  if (!row.ok()) return row.status();
  // SQLite allows at least the pages that are there.
  const int64_t pages_max = std::max<int64_t>(bytes_max / page.Int(0), 1);
  return connection->Execute(absl::StrCat("PRAGMA max_page_count = ", pages_max));
}

// An earlier life may have ended between writing a transaction to the log and syncing it.
// It counts, and will be told of as if it were on disk: so it has to be. A checkpoint
// syncs the log first; that there is no room for the rest does not matter.
absl::Status SyncLog(Connection* connection) {
  absl::Status status = connection->Execute("PRAGMA wal_checkpoint(TRUNCATE)");
  return absl::IsResourceExhausted(status) ? absl::OkStatus() : status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& data_dir,
                                                   const StoreOptions& options) {
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open(data_dir + "/modlab.db", Connection::Mode::kReadWriteCreate, options.vfs);
  if (!connection.ok()) return connection.status();
  absl::Status status = (*connection)
                            ->Execute(
                                "PRAGMA busy_timeout = 10000;"
                                "PRAGMA journal_mode = WAL;"
                                "PRAGMA synchronous = FULL;"
                                "PRAGMA foreign_keys = ON;"
                                "PRAGMA journal_size_limit = 67108864;"  // bytes
                                // Pages: a busy coordinator writes some pages again and again,
                                // and each checkpoint takes two syncs.
                                "PRAGMA wal_autocheckpoint = 8000;"
                                "PRAGMA cache_size = -65536;");  // KiB
  if (status.ok() && options.bytes_max > 0)
    status = LimitSize(connection->get(), options.bytes_max);
  if (status.ok()) status = AddMigrationFunctions(data_dir, connection->get());
  if (status.ok()) status = Migrate(connection->get(), Migrations());
  if (status.ok()) status = SyncLog(connection->get());
  if (!status.ok()) return status;
  return std::make_unique<SqliteStore>(*std::move(connection), options.vfs);
}

SqliteStore::SqliteStore(std::unique_ptr<Connection> connection, const std::string& vfs)
    : writer_(std::move(connection)), readers_(writer_.path(), vfs, kReadersMax) {}

absl::StatusOr<v1::Sweep> SqliteStore::GetSweep(absl::string_view id_or_name) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  const absl::StatusOr<int64_t> number = FindSweep(snapshot->connection(), id_or_name);
  if (!number.ok()) return number.status();
  return ReadSweep(snapshot->connection(), *number);
}

absl::StatusOr<v1::ListSweepsResponse> SqliteStore::ListSweeps(int page_size,
                                                               absl::string_view page_token) {
  const absl::StatusOr<int> size = CheckPageSize(page_size);
  if (!size.ok()) return size.status();
  const absl::StatusOr<int64_t> last = ParsePageToken(page_token);
  if (!last.ok()) return last.status();
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  const int64_t before = *last == 0 ? std::numeric_limits<int64_t>::max() : *last;
  return ReadSweepsPage(snapshot->connection(), before, *size);
}

absl::StatusOr<v1::Job> SqliteStore::GetJob(int64_t id) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  return ReadJob(snapshot->connection(), id);
}

absl::Status SqliteStore::ScanJobs(absl::string_view sweep,
                                   const std::vector<v1::FieldFilter>& filters, int64_t after_id,
                                   const std::function<bool(const v1::Job&)>& visit) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  const absl::StatusOr<Selection> chosen = Select(snapshot->connection(), sweep, filters);
  if (!chosen.ok()) return chosen.status();
  return ScanJobRows(snapshot->connection(), chosen->sweep, chosen->filter, after_id, visit);
}

absl::Status SqliteStore::ScanFigures(absl::string_view sweep,
                                      const std::vector<v1::FieldFilter>& filters,
                                      v1::Checkpoint checkpoint,
                                      const std::function<bool(const JobFigures&)>& visit) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  const absl::StatusOr<Selection> chosen = Select(snapshot->connection(), sweep, filters);
  if (!chosen.ok()) return chosen.status();
  return ScanFigureRows(snapshot->connection(), chosen->sweep, chosen->filter, checkpoint, visit);
}

absl::Status SqliteStore::ScanMetric(
    absl::string_view sweep, const std::vector<v1::FieldFilter>& filters, v1::Metric metric,
    const std::function<bool(const JobFigures&, const MetricCurve&)>& visit) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  const absl::StatusOr<Selection> chosen = Select(snapshot->connection(), sweep, filters);
  if (!chosen.ok()) return chosen.status();
  return ScanMetricRows(snapshot->connection(), chosen->sweep, chosen->filter, metric, visit);
}

absl::StatusOr<std::vector<v1::CurvePoint>> SqliteStore::ReadCurve(int64_t job_id) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  const absl::StatusOr<v1::Job> job = ReadJob(snapshot->connection(), job_id);
  if (!job.ok()) return job.status();
  std::vector<v1::CurvePoint> points;
  absl::Status status = ReadPoints(snapshot->connection(), job_id, &points);
  if (!status.ok()) return status;
  return points;
}

absl::StatusOr<std::vector<v1::JobEvent>> SqliteStore::ReadEvents(int64_t job_id) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  const absl::StatusOr<v1::Job> job = ReadJob(snapshot->connection(), job_id);
  if (!job.ok()) return job.status();
  absl::StatusOr<JobEvents> events = modlab::ReadEvents(snapshot->connection(), job_id);
  if (!events.ok()) return events.status();
  return std::move(events->events);
}

absl::Status SqliteStore::ScanCurves(
    absl::string_view sweep, const std::vector<v1::FieldFilter>& filters,
    const std::function<bool(const v1::Job&, const std::vector<v1::CurvePoint>&)>& visit) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  Connection* const connection = snapshot->connection();
  const absl::StatusOr<Selection> chosen = Select(connection, sweep, filters);
  if (!chosen.ok()) return chosen.status();
  std::vector<v1::CurvePoint> points;
  absl::Status reading;
  const absl::Status scanned =
      ScanJobRows(connection, chosen->sweep, chosen->filter, 0, [&](const v1::Job& job) {
        reading = ReadPoints(connection, job.id(), &points);
        return reading.ok() && visit(job, points);
      });
  return scanned.ok() ? reading : scanned;
}

absl::StatusOr<PrunePlan> SqliteStore::PlanPrune(const v1::PruneRequest& request,
                                                 int64_t older_than_us) {
  absl::StatusOr<ReaderPool::Snapshot> snapshot = readers_.Acquire();
  if (!snapshot.ok()) return snapshot.status();
  return PlanPruneRows(snapshot->connection(), request, older_than_us);
}

}  // namespace modlab
