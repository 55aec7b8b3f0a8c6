#include "tests/oracle/mlp_oracle.h"

#include <vector>

#include "tests/oracle/naive_layers.h"

namespace modlab {
OracleOutput MlpOracle(const v1::JobConfig& config, const Tensors& parameters,
                       const at::Tensor& x) {
  const at::Tensor rule = x.narrow(-1, 2, config.rules());
  const at::Tensor rule_code = TwoLayers(parameters, "encoder_operation", rule);
  const at::Tensor h =
      at::cat({TwoLayers(parameters, "encoder_digit", x.narrow(-1, 0, 1)),
               TwoLayers(parameters, "encoder_digit", x.narrow(-1, 1, 1)), rule_code},
              -1);
  OracleOutput output;
  at::Tensor y;
  if (config.model() == v1::MONOLITHIC) {
    y = TwoLayers(parameters, "MLP", h);
  } else {
    const bool scored = config.model() == v1::MODULAR;
    const bool joint = scored && config.scorer() == v1::JOINT;
    std::vector<at::Tensor> outs, scores;
    for (int64_t m = 0; m < config.modules(); ++m) {
      const at::Tensor all = ModuleTwoLayers(parameters, "MLP", m, h);
      outs.push_back(all.narrow(-1, 0, config.model_dim()));
      if (joint) scores.push_back(all.select(-1, config.model_dim()));
      if (scored && !joint) {
        scores.push_back(
            TwoLayers(parameters, "scorer", at::cat({outs.back(), x}, -1)).squeeze(-1));
      }
    }
    if (scored) {
      output.p = at::softmax(at::stack(scores, -1), -1);
    } else if (config.model() == v1::MODULAR_OP) {
      output.p = at::softmax(Linear(parameters, "scorer", rule_code), -1);
    } else {
      output.p = rule;
    }
    y = at::zeros_like(outs[0]);
    for (int64_t m = 0; m < config.modules(); ++m) {
      y = y + output.p.select(-1, m).unsqueeze(-1) * outs[m];
    }
  }
  output.prediction = TwoLayers(parameters, "decoder", y);
  return output;
}

}  // namespace modlab
