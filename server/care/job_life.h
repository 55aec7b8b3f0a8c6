// Whether the events of a job tell a legal life, and one that ends where the job is.
//
// Pure and thread-safe.

#ifndef MODLAB_SERVER_CARE_JOB_LIFE_H_
#define MODLAB_SERVER_CARE_JOB_LIFE_H_

#include <vector>

#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "server/care/findings.h"

namespace modlab {

// `events` as they happened. `from_the_start`: they must begin with the submission;
// otherwise what came before is not known, as of a job that is older than events, and
// anything may come first.
void AuditLife(const v1::Job& job, const std::vector<v1::JobEvent>& events, bool from_the_start,
               Findings* findings);

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_JOB_LIFE_H_
