// The MHA networks of section 2, all four model types, for a gang of jobs.

#ifndef MODLAB_LIB_MODELS_MHA_MODEL_H_
#define MODLAB_LIB_MODELS_MHA_MODEL_H_

#include <memory>

#include "lib/models/model.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

std::unique_ptr<Model> MakeMhaModel(const v1::JobConfig& canonical);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_MHA_MODEL_H_
