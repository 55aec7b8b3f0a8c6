// What questions about many jobs read of them: configs as numbers, figures and curves of
// one metric, without the messages around them. Each call works on the connection that it
// is given, within its transaction.

#ifndef MODLAB_SERVER_STORE_FIGURE_ROWS_H_
#define MODLAB_SERVER_STORE_FIGURE_ROWS_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "modlab/v1/job.pb.h"
#include "server/store/job_filter.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"

namespace modlab {

// Visits jobs that pass `filter`, by ascending id; of all sweeps unless `sweep`
// (sweeps.number) has a value. Stops where `visit` returns false.
absl::Status ScanFigureRows(Connection* connection, std::optional<int64_t> sweep,
                            const JobFilter& filter, v1::Checkpoint checkpoint,
                            const std::function<bool(const JobFigures&)>& visit);
absl::Status ScanMetricRows(
    Connection* connection, std::optional<int64_t> sweep, const JobFilter& filter,
    v1::Metric metric, const std::function<bool(const JobFigures&, const MetricCurve&)>& visit);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_FIGURE_ROWS_H_
