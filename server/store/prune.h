// Retention: takes old sweeps out of the store. Works on the connection that it is
// given, within its transaction.

#ifndef MODLAB_SERVER_STORE_PRUNE_H_
#define MODLAB_SERVER_STORE_PRUNE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/coordinator.pb.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"

namespace modlab {

// As Store::PlanPrune(). Only reads.
absl::StatusOr<PrunePlan> PlanPruneRows(Connection* connection, const v1::PruneRequest& request,
                                        int64_t older_than_us);

// As Store::Writer::Prune(). A failure changes nothing, unless the transaction is lost.
// A job's weights that are pruned alone are taken out of its result, too.
absl::StatusOr<v1::PruneResponse> PruneRows(Connection* connection, const v1::PruneRequest& request,
                                            int64_t older_than_us);

// As Store::Writer::PruneWeights().
absl::Status PruneWeightRows(Connection* connection, const std::vector<int64_t>& sweeps,
                             const std::vector<int64_t>& jobs);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_PRUNE_H_
