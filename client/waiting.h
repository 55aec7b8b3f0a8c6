// Why jobs of a sweep wait while no worker could ever take them as things are.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_WAITING_H_
#define MODLAB_CLIENT_WAITING_H_

#include <cstdint>
#include <string>

#include "google/protobuf/repeated_field.h"
#include "modlab/v1/sweep.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {

using Workers = google::protobuf::RepeatedPtrField<v1::Worker>;

// Whether one of them is given jobs, and meets what is wanted. `now_us` is about the
// coordinator's time.
bool SomeWorkerFits(const v1::Requirements& wants, const Workers& workers, int64_t now_us);

// For people, with what to do; "" where some worker fits, or nothing of the sweep waits.
// `address` is the coordinator's, `flags` what commands need to reach it.
std::string WhyItWaits(const v1::Sweep& sweep, const Workers& workers, int64_t now_us,
                       const std::string& address, const std::string& flags);

}  // namespace modlab

#endif  // MODLAB_CLIENT_WAITING_H_
