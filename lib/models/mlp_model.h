// The MLP networks of section 2, all four model types, for a gang of jobs.
//
// The function is the paper's; the order of operations is not. Where two linear
// layers meet with nothing between them their matrices are multiplied first,
// modules are mixed before their last layer, and what depends on the rule alone
// is computed once a rule. ARCHITECTURE.md says what that saves.

#ifndef MODLAB_LIB_MODELS_MLP_MODEL_H_
#define MODLAB_LIB_MODELS_MLP_MODEL_H_

#include <memory>

#include "lib/models/model.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

std::unique_ptr<Model> MakeMlpModel(const v1::JobConfig& canonical);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_MLP_MODEL_H_
