// Whether a sweep has exactly the jobs that its spec asks for.
//
// Pure and thread-safe.

#ifndef MODLAB_SERVER_CARE_SWEEP_CHECK_H_
#define MODLAB_SERVER_CARE_SWEEP_CHECK_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "modlab/v1/sweep.pb.h"
#include "server/care/findings.h"

namespace modlab {

// `jobs` are those of the sweep, each with its key. Returns how many configs of the
// spec have no job.
int64_t AuditSweepJobs(const v1::Sweep& sweep,
                       const std::vector<std::pair<int64_t, std::string>>& jobs,
                       Findings* findings);

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_SWEEP_CHECK_H_
