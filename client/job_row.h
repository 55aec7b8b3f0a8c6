// A job as one flat row: what `show` and `export` write.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_JOB_ROW_H_
#define MODLAB_CLIENT_JOB_ROW_H_

#include <set>
#include <string>
#include <vector>

#include "client/format.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Whether the metric is a figure at one sequence length, as only some jobs have it.
bool IsByLength(v1::Metric metric);

// Those that the job has.
std::set<v1::Metric> MetricsByLength(const v1::Job& job);

// job (its number), state, every JobConfig field, how it ran, every metric there
// is, those by length as asked for, and where it ran: the same columns for all
// jobs, no name twice ("id" is a metric).
std::vector<std::string> JobColumns(const std::set<v1::Metric>& by_length);

// One cell a column; metrics and SHA-256 are those of `checkpoint`.
std::vector<Cell> JobCells(const v1::Job& job, const std::set<v1::Metric>& by_length,
                           v1::Checkpoint checkpoint = v1::LAST);

}  // namespace modlab

#endif  // MODLAB_CLIENT_JOB_ROW_H_
