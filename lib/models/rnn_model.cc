#include "lib/models/rnn_model.h"

namespace modlab {

std::unique_ptr<Model> MakeRnnModel(const v1::JobConfig& /*canonical*/) { return nullptr; }

}  // namespace modlab
