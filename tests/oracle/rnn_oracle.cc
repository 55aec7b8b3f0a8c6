#include "tests/oracle/rnn_oracle.h"

#include <cstdint>
#include <vector>

#include "tests/oracle/naive_layers.h"

namespace modlab {
namespace {

struct State {
  at::Tensor hidden;  // [B, h]
  at::Tensor cell;    // [B, h]
};

State Cell(const State& before, const at::Tensor& i, const at::Tensor& f, const at::Tensor& o,
           const at::Tensor& g) {
  State after;
  after.cell = at::sigmoid(f) * before.cell + at::sigmoid(i) * at::tanh(g);
  after.hidden = at::sigmoid(o) * at::tanh(after.cell);
  return after;
}

// PyTorch's LSTM cell.
State MonolithicStep(const Tensors& tensors, const at::Tensor& code, const State& before) {
  const at::Tensor gates =
      at::matmul(code, tensors.at("rnn.weight_ih").t()) + tensors.at("rnn.bias_ih") +
      at::matmul(before.hidden, tensors.at("rnn.weight_hh").t()) + tensors.at("rnn.bias_hh");
  const std::vector<at::Tensor> of = gates.chunk(4, 1);
  return Cell(before, of[0], of[1], of[3], of[2]);
}

// Sets p, [B, M].
State ModularStep(const v1::JobConfig& config, const Tensors& tensors, const at::Tensor& code,
                  const at::Tensor& rule, const State& before, at::Tensor* p) {
  const at::Tensor i2h = Product(tensors, "rnn.i2h", code);
  const at::Tensor h2h = Product(tensors, "rnn.h2h", before.hidden);
  const int64_t h = before.hidden.size(1);
  std::vector<State> after;
  std::vector<at::Tensor> scores;
  for (int64_t m = 0; m < config.modules(); ++m) {
    const at::Tensor a = i2h.narrow(1, m * 4 * h, 4 * h), b = h2h.narrow(1, m * 4 * h, 4 * h);
    const std::vector<at::Tensor> of = (a + b).chunk(4, 1);
    after.push_back(Cell(before, of[0], of[1], of[2], of[3]));
    if (config.model() == v1::MODULAR) {
      const at::Tensor& weight = tensors.at("rnn.scorer.1.w")[m];  // [8h, 1]
      scores.push_back(at::matmul(at::relu(at::cat({a, b}, 1)), weight).squeeze(1));
    }
  }
  if (config.model() == v1::MODULAR) {
    *p = at::softmax(at::stack(scores, 1), 1);
  } else if (config.model() == v1::MODULAR_OP) {
    const at::Tensor first = at::relu(Product(tensors, "rnn.scorer.0", rule));
    *p = at::softmax(Product(tensors, "rnn.scorer.2", first), 1);
  } else {
    *p = rule;
  }
  State mixed{at::zeros_like(before.hidden), at::zeros_like(before.cell)};
  for (int64_t m = 0; m < config.modules(); ++m) {
    const at::Tensor share = p->select(1, m).unsqueeze(1);
    mixed.hidden = mixed.hidden + share * after[m].hidden;
    mixed.cell = mixed.cell + share * after[m].cell;
  }
  return mixed;
}

}  // namespace

OracleOutput RnnOracle(const v1::JobConfig& config, const Tensors& parameters,
                       const at::Tensor& x) {
  const int64_t width = parameters.at("decoder.0.weight").size(0);
  const at::Tensor zeros = at::zeros({x.size(1), width}, x.options());
  State state{zeros, zeros};
  std::vector<at::Tensor> predictions, all_p;
  for (int64_t n = 0; n < x.size(0); ++n) {
    const at::Tensor code = TwoLayers(parameters, "encoder", x[n]);
    if (config.model() == v1::MONOLITHIC) {
      state = MonolithicStep(parameters, code, state);
    } else {
      const at::Tensor rule = x[n].narrow(1, config.input_dim(), config.rules());
      at::Tensor p;
      state = ModularStep(config, parameters, code, rule, state, &p);
      all_p.push_back(p);
    }
    predictions.push_back(TwoLayers(parameters, "decoder", state.hidden));
  }
  OracleOutput output;
  output.prediction = at::stack(predictions);
  if (!all_p.empty()) output.p = at::stack(all_p);
  return output;
}

}  // namespace modlab
