// A worker that trains nothing and says what a test wants said: for outcomes
// that no small real job has.

#ifndef MODLAB_TESTS_E2E_SCRIPTED_WORKER_H_
#define MODLAB_TESTS_E2E_SCRIPTED_WORKER_H_

#include <functional>
#include <optional>
#include <string>

#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab::e2e {

// Connects, takes one gang of `jobs` jobs, reports what `outcome` makes of each
// (no need to say of which job, or as which report), waits until the reports are
// on disk, and vanishes with the others in its hands. False, and a test failure,
// if that does not come about.
bool ReportJobs(const std::string& address, int jobs,
                const std::function<std::optional<v1::Report>(const v1::JobConfig&)>& outcome);

// Reports `failure` of those jobs that `fails` picks.
bool FailSomeJobs(const std::string& address, int jobs, const v1::Failure& failure,
                  const std::function<bool(const v1::JobConfig&)>& fails);

}  // namespace modlab::e2e

#endif  // MODLAB_TESTS_E2E_SCRIPTED_WORKER_H_
