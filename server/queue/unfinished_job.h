// A job that still has to be trained, as the queue needs to know it.

#ifndef MODLAB_SERVER_QUEUE_UNFINISHED_JOB_H_
#define MODLAB_SERVER_QUEUE_UNFINISHED_JOB_H_

#include <cstdint>
#include <string>

#include "modlab/v1/job.pb.h"

namespace modlab {

struct UnfinishedJob {
  int64_t id = 0;
  std::string shape_key;
  v1::JobConfig config;
  v1::JobState state = v1::QUEUED;  // QUEUED or RUNNING
  int32_t attempt = 0;              // times leased so far
  int32_t failures = 0;             // failed attempts since it was last queued by a user
  std::string worker_id;            // of the current lease; "" if QUEUED
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_UNFINISHED_JOB_H_
