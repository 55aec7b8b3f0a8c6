// Final results, grouped and summarised.

#ifndef MODLAB_SERVER_QUERY_RESULTS_QUERY_H_
#define MODLAB_SERVER_QUERY_RESULTS_QUERY_H_

#include "absl/status/statusor.h"
#include "modlab/v1/results.pb.h"
#include "server/store/store.h"

namespace modlab {

// Answers as results.proto says. Only SUCCEEDED jobs have results;
// jobs_unfinished are the QUEUED and RUNNING ones of the selection.
//
// INVALID_ARGUMENT: an unknown field or metric (names the nearest known one),
// one given twice, or a bad filter. NOT_FOUND: the sweep. RESOURCE_EXHAUSTED:
// the answer would pass 64 MiB. Thread-safe.
absl::StatusOr<v1::QueryResultsResponse> QueryResults(Store* store,
                                                      const v1::QueryResultsRequest& request);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_RESULTS_QUERY_H_
