// Curves, grouped and summarised iteration by iteration.

#ifndef MODLAB_SERVER_QUERY_CURVES_QUERY_H_
#define MODLAB_SERVER_QUERY_CURVES_QUERY_H_

#include "absl/status/statusor.h"
#include "modlab/v1/results.pb.h"
#include "server/store/store.h"

namespace modlab {

// Answers as results.proto says; jobs of every state count as far as they got.
//
// INVALID_ARGUMENT: no sweep, an unknown field or metric (names the nearest
// known one), a metric that curves do not have, or a bad filter. NOT_FOUND: the
// sweep. RESOURCE_EXHAUSTED: the answer would pass 64 MiB. Thread-safe.
absl::StatusOr<v1::QueryCurvesResponse> QueryCurves(Store* store,
                                                    const v1::QueryCurvesRequest& request);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_CURVES_QUERY_H_
