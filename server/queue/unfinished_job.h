// What the queue has to know of jobs that still have to be trained, of the sweeps
// that ask for them, and of places that have not proved themselves.

#ifndef MODLAB_SERVER_QUEUE_UNFINISHED_JOB_H_
#define MODLAB_SERVER_QUEUE_UNFINISHED_JOB_H_

#include <cstdint>
#include <string>
#include <vector>

#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

// A sweep that is not cancelled.
struct QueuedSweep {
  int64_t number = 0;  // the order in which they came
  std::string id;
  std::string user;
  v1::SweepPolicy policy;
};

// A place (WorkerView.place) that is given nothing before `until_us`, and then one job at a
// time until one gets on.
struct Quarantine {
  std::string place;
  int64_t failures = 0;  // gangs that failed in a row
  int64_t until_us = 0;
  std::string reason;  // of the last of them
};

struct UnfinishedJob {
  int64_t id = 0;
  std::string shape_key;
  std::string config;                 // canonical, serialised
  v1::JobState state = v1::QUEUED;    // QUEUED or RUNNING
  int32_t attempt = 0;                // times leased so far
  int32_t failures = 0;               // failed attempts in a row without a newer checkpoint
  int64_t not_before_us = 0;          // not leased before
  std::string worker_id;              // of the current lease; "" if QUEUED
  v1::TrainingCheckpoint checkpoint;  // sha256 empty: none
  std::string avoided;                // where it had better not run: avoided.h
  std::vector<int64_t> sweeps;        // numbers of the sweeps that ask for it, not cancelled
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_UNFINISHED_JOB_H_
