#include "lib/models/model.h"

#include "lib/models/mha_model.h"
#include "lib/models/mlp_model.h"
#include "lib/models/rnn_model.h"

namespace modlab {

std::unique_ptr<Model> MakeModel(const v1::JobConfig& canonical) {
  switch (canonical.architecture()) {
    case v1::MHA:
      return MakeMhaModel(canonical);
    case v1::RNN:
      return MakeRnnModel(canonical);
    default:
      return MakeMlpModel(canonical);
  }
}

}  // namespace modlab
