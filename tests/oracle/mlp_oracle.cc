#include "tests/oracle/mlp_oracle.h"

#include <vector>

namespace modlab {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

at::Tensor Linear(const Tensors& tensors, const std::string& name, const at::Tensor& x) {
  return at::matmul(x, tensors.at(name + ".weight").t()) + tensors.at(name + ".bias");
}

// A linear layer, ReLU, a linear layer.
at::Tensor TwoLayers(const Tensors& tensors, const std::string& name, const at::Tensor& x) {
  return Linear(tensors, name + ".2", at::relu(Linear(tensors, name + ".0", x)));
}

// All that module m computes, D numbers, or D + 1 with the joint scorer.
at::Tensor Module(const Tensors& tensors, int64_t m, const at::Tensor& h) {
  const auto layer = [&](const std::string& name, const at::Tensor& x) {
    return at::matmul(x, tensors.at(name + ".w")[m]) + tensors.at(name + ".b")[0][m];
  };
  return layer("MLP.2", at::relu(layer("MLP.0", h)));
}

}  // namespace

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
      const at::Tensor all = Module(parameters, m, h);
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
