// The Store on SQLite: readers here, the writer beside it.

#ifndef MODLAB_SERVER_STORE_SQLITE_STORE_H_
#define MODLAB_SERVER_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/reader_pool.h"
#include "server/store/sqlite_writer.h"
#include "server/store/store.h"

namespace modlab {

class SqliteStore : public Store {
 public:
  // `connection` may write, and has the newest schema. Readers use `vfs` as well.
  SqliteStore(std::unique_ptr<Connection> connection, const std::string& vfs);

  Writer* writer() override { return &writer_; }
  absl::StatusOr<v1::Sweep> GetSweep(absl::string_view id_or_name) override;
  absl::StatusOr<v1::ListSweepsResponse> ListSweeps(int page_size,
                                                    absl::string_view page_token) override;
  absl::StatusOr<v1::Job> GetJob(int64_t id) override;
  absl::Status ScanJobs(absl::string_view sweep, const std::vector<v1::FieldFilter>& filters,
                        int64_t after_id,
                        const std::function<bool(const v1::Job&)>& visit) override;
  absl::Status ScanFigures(absl::string_view sweep, const std::vector<v1::FieldFilter>& filters,
                           v1::Checkpoint checkpoint,
                           const std::function<bool(const JobFigures&)>& visit) override;
  absl::Status ScanMetric(
      absl::string_view sweep, const std::vector<v1::FieldFilter>& filters, v1::Metric metric,
      const std::function<bool(const JobFigures&, const MetricCurve&)>& visit) override;
  absl::StatusOr<std::vector<v1::CurvePoint>> ReadCurve(int64_t job_id) override;
  absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(int64_t job_id) override;
  absl::Status ScanCurves(
      absl::string_view sweep, const std::vector<v1::FieldFilter>& filters,
      const std::function<bool(const v1::Job&, const std::vector<v1::CurvePoint>&)>& visit)
      override;
  absl::StatusOr<PrunePlan> PlanPrune(const v1::PruneRequest& request,
                                      int64_t older_than_us) override;

 private:
  SqliteWriter writer_;
  ReaderPool readers_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_SQLITE_STORE_H_
