#include "lib/models/mha_model.h"

namespace modlab {

std::unique_ptr<Model> MakeMhaModel(const v1::JobConfig& /*canonical*/) { return nullptr; }

}  // namespace modlab
