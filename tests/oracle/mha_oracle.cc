#include "tests/oracle/mha_oracle.h"

#include <cmath>
#include <vector>

#include "tests/oracle/naive_layers.h"

namespace modlab {
namespace {

// What each token retrieves from the others. All [N, B, h].
at::Tensor Attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
  const int64_t length = query.size(0);
  const double scale = std::sqrt(static_cast<double>(query.size(2)));
  std::vector<at::Tensor> outputs;
  for (int64_t i = 0; i < length; ++i) {
    std::vector<at::Tensor> scores, values;
    for (int64_t j = 0; j < length; ++j) {
      if (j == i) continue;
      scores.push_back((query[i] * key[j]).sum(-1) / scale);  // [B]
      values.push_back(value[j]);
    }
    const at::Tensor weights = at::softmax(at::stack(scores, 0), 0);  // [N - 1, B]
    outputs.push_back((weights.unsqueeze(-1) * at::stack(values, 0)).sum(0));
  }
  return at::stack(outputs, 0);
}

}  // namespace

OracleOutput MhaOracle(const v1::JobConfig& config, const Tensors& parameters,
                       const at::Tensor& x) {
  const int64_t modules = config.modules(), heads = config.heads();
  const int64_t width = config.model_dim() / (modules * heads);
  const at::Tensor rule = x.narrow(-1, x.size(-1) - config.rules(), config.rules());
  const at::Tensor token = TwoLayers(parameters, "encoder", x);
  const at::Tensor query = Linear(parameters, "model.query_net", token);
  const at::Tensor key = Linear(parameters, "model.key_net", token);
  const at::Tensor value = Linear(parameters, "model.value_net", token);
  const at::Tensor in = Linear(parameters, "model.in_", token);

  std::vector<at::Tensor> given;  // to each module's last network, [N, B, (H + 1) h]
  for (int64_t m = 0; m < modules; ++m) {
    std::vector<at::Tensor> parts;
    for (int64_t i = 0; i < heads; ++i) {
      const int64_t first = (m * heads + i) * width;
      parts.push_back(Attention(query.narrow(-1, first, width), key.narrow(-1, first, width),
                                value.narrow(-1, first, width)));
    }
    parts.push_back(in.narrow(-1, m * width, width));
    given.push_back(at::cat(parts, -1));
  }

  OracleOutput output;
  at::Tensor y;
  if (config.model() == v1::MONOLITHIC) {
    y = TwoLayers(parameters, "model.out_proj", given[0]);
  } else {
    std::vector<at::Tensor> outs, scores;
    for (int64_t m = 0; m < modules; ++m) {
      const at::Tensor all = ModuleTwoLayers(parameters, "model.out_proj", m, given[m]);
      outs.push_back(all.narrow(-1, 0, config.encoder_dim()));
      if (config.model() == v1::MODULAR) scores.push_back(all.select(-1, config.encoder_dim()));
    }
    if (config.model() == v1::MODULAR) {
      output.p = at::softmax(at::stack(scores, -1), -1);
    } else if (config.model() == v1::MODULAR_OP) {
      output.p = at::softmax(TwoLayers(parameters, "model.scorer", rule), -1);
    } else {
      output.p = rule;
    }
    y = at::zeros_like(outs[0]);
    for (int64_t m = 0; m < modules; ++m) {
      y = y + output.p.select(-1, m).unsqueeze(-1) * outs[m];
    }
  }
  output.prediction = TwoLayers(parameters, "decoder", y);
  return output;
}

}  // namespace modlab
