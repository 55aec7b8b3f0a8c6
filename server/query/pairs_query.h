// Two sides of a sweep, compared pair by pair.

#ifndef MODLAB_SERVER_QUERY_PAIRS_QUERY_H_
#define MODLAB_SERVER_QUERY_PAIRS_QUERY_H_

#include "absl/status/statusor.h"
#include "modlab/v1/results.pb.h"
#include "server/store/store.h"

namespace modlab {

// Answers as results.proto says. Where a job could be paired by its defaults and by
// its values, it is by its defaults. A pair that lacks both sides counts as missing
// each.
//
// INVALID_ARGUMENT: no sweep or metric; an unknown field or metric (names the
// nearest known one); a metric of curves alone; sides that name no fields, one
// twice, or not the same ones, or share a job; a side with several jobs for one
// pair (names two of them, and in what they differ); groups that the sides name,
// that tear a pair apart, or that mix targets whose figures cannot be compared; a
// bad filter. NOT_FOUND: the sweep. RESOURCE_EXHAUSTED: the answer would pass 64
// MiB. Thread-safe.
absl::StatusOr<v1::ComparePairsResponse> ComparePairs(Store* store,
                                                      const v1::ComparePairsRequest& request);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_PAIRS_QUERY_H_
