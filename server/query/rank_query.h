// Votes for the model types that win settings.

#ifndef MODLAB_SERVER_QUERY_RANK_QUERY_H_
#define MODLAB_SERVER_QUERY_RANK_QUERY_H_

#include "absl/status/statusor.h"
#include "modlab/v1/results.pb.h"
#include "server/store/store.h"

namespace modlab {

// Answers as results.proto says. A finished job without the figures asked for (it
// kept no best checkpoint) counts as missing.
//
// INVALID_ARGUMENT: no sweep, an unknown field (names the nearest known one) or
// one that votes cannot be grouped by, or a bad filter. NOT_FOUND: the sweep.
// RESOURCE_EXHAUSTED: the answer would pass 64 MiB. Thread-safe.
absl::StatusOr<v1::RankModelsResponse> RankModels(Store* store,
                                                  const v1::RankModelsRequest& request);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_RANK_QUERY_H_
