// A worker that trains nothing and says what a test wants said: for outcomes
// that no small real job has.

#ifndef MODLAB_TESTS_E2E_SCRIPTED_WORKER_H_
#define MODLAB_TESTS_E2E_SCRIPTED_WORKER_H_

#include <functional>
#include <string>

#include "modlab/v1/job.pb.h"

namespace modlab::e2e {

// Connects, takes one gang of `jobs` jobs, reports `failure` of those that
// `fails` picks, waits until the reports are on disk, and vanishes with the
// others in its hands. False, and a test failure, if that does not come about.
bool FailSomeJobs(const std::string& address, int jobs, const v1::Failure& failure,
                  const std::function<bool(const v1::JobConfig&)>& fails);

}  // namespace modlab::e2e

#endif  // MODLAB_TESTS_E2E_SCRIPTED_WORKER_H_
