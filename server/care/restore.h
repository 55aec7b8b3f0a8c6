// From a backup to a store that a coordinator can be started on.

#ifndef MODLAB_SERVER_CARE_RESTORE_H_
#define MODLAB_SERVER_CARE_RESTORE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace modlab {

// Attempts of jobs that have no result are raised by this, and ids of jobs to come by
// the other: what a worker of before still holds or reports is never taken for what is
// leased now.
inline constexpr int64_t kRestoredAttempts = 1'000;
inline constexpr int64_t kRestoredJobIds = 10'000'000;

struct Restored {
  int64_t created_us = 0;  // when the backup was made
  int64_t sweeps = 0;
  int64_t jobs = 0;
  int64_t unfinished = 0;  // of these; all QUEUED
  int64_t artifacts = 0;
  bool with_artifacts = false;
};

// Makes `data_dir` if need be. Its store appears whole, or not at all; after a failure
// it may be tried again. FAILED_PRECONDITION: there is a store already, or the backup
// was made by a newer modlab. INVALID_ARGUMENT: `file` is no backup. DATA_LOSS: it is
// damaged; says where. RESOURCE_EXHAUSTED: the disk is full.
absl::StatusOr<Restored> Restore(const std::string& file, const std::string& data_dir,
                                 int64_t now_us);

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_RESTORE_H_
