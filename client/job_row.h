// A job as one flat row: what `show` and `export` write.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_JOB_ROW_H_
#define MODLAB_CLIENT_JOB_ROW_H_

#include <string>
#include <vector>

#include "client/format.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// job (its number), state, every JobConfig field, how it ran, every metric there
// is, and where it ran: the same columns for all jobs, no name twice ("id" is a
// metric).
std::vector<std::string> JobColumns();

// One cell a column.
std::vector<Cell> JobCells(const v1::Job& job);

}  // namespace modlab

#endif  // MODLAB_CLIENT_JOB_ROW_H_
