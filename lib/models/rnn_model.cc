#include "lib/models/rnn_model.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/config/widths.h"
#include "lib/models/layer.h"
#include "lib/models/lstm.h"
#include "lib/models/router.h"

namespace modlab {
namespace {

// [J, 4h, ...] from PyTorch's order of gates i, f, g, o to Lstm()'s i, f, o, g.
at::Tensor ReorderGates(const at::Tensor& rows, int64_t h) {
  return at::cat({rows.narrow(1, 0, 2 * h), rows.narrow(1, 3 * h, h), rows.narrow(1, 2 * h, h)}, 1);
}

class RnnNetwork : public Network {
 public:
  // `router` is null for MONOLITHIC, one cell whose p is 1, and for MODULAR.
  RnnNetwork(const v1::JobConfig& config, const Router* router, const Parameters& parameters)
      : parameters_(parameters), router_(router), model_(config.model()) {
    Fold(CellWidth(config));
  }

  Output Forward(const Batch& batch) const override {
    const LstmOutput states = Recur(batch);
    const at::Tensor decoded =
        Layer({Get("decoder.0.weight"), Get("decoder.0.bias"), states.hidden, /*relu=*/true, {}});
    Output output;
    output.prediction =
        Layer({Get("decoder.2.weight"), Get("decoder.2.bias"), decoded, /*relu=*/false, {}});
    if (model_ != v1::MONOLITHIC) output.p = states.p;
    return output;
  }

  at::Tensor Route(const Batch& batch) const override {
    return router_ != nullptr ? RouteAlone(batch) : Recur(batch).p;
  }

 private:
  const at::Tensor& Get(const char* name) const { return parameters_.at(name); }

  // The encoder's last layer meets the cells' input weights.
  void Fold(int64_t h) {
    const bool monolithic = model_ == v1::MONOLITHIC;
    const at::Tensor& of_input = Get(monolithic ? "rnn.weight_ih" : "rnn.i2h.weight");
    const at::Tensor& of_hidden = Get(monolithic ? "rnn.weight_hh" : "rnn.h2h.weight");
    const auto fold = [&](const at::Tensor& x) { return Layer({of_input, {}, x, false, {}}); };
    const at::Tensor weight = fold(Get("encoder.2.weight"));
    at::Tensor bias = fold(Get("encoder.2.bias").unsqueeze(-1));
    if (monolithic) bias = bias + (Get("rnn.bias_ih") + Get("rnn.bias_hh")).unsqueeze(-1);
    weight_ = at::cat({weight, bias, of_hidden}, 2);
    if (monolithic) weight_ = ReorderGates(weight_, h);
  }

  at::Tensor RouteAlone(const Batch& batch) const {
    RouterInput input;
    input.input = batch.input;
    input.rule = batch.rule;
    return router_->Route(parameters_, input);
  }

  LstmOutput Recur(const Batch& batch) const {
    const at::Tensor code = Layer({Get("encoder.0.weight"),
                                   Get("encoder.0.bias"),
                                   at::cat({batch.input, batch.rule}, 1),
                                   /*relu=*/true,
                                   {}});
    const at::Tensor ones = at::ones({batch.jobs(), 1, batch.columns()}, code.options());
    LstmInput lstm;
    lstm.input = at::cat({code, ones}, 1);
    lstm.weight = weight_;
    lstm.length = batch.length;
    lstm.scored = model_ == v1::MODULAR;
    lstm.one_hot = router_ != nullptr && router_->is_given();
    if (lstm.scored) {
      lstm.routing = Get("rnn.scorer.1.w").squeeze(-1);
    } else {
      lstm.routing = router_ != nullptr ? RouteAlone(batch) : ones;
    }
    return Lstm(lstm);
  }

  const Parameters& parameters_;
  const Router* const router_;
  const v1::ModelType model_;
  at::Tensor weight_;  // [J, 4 M h, e + 1 + h] (encoder's hidden units, 1, hidden state) -> gates
};

class RnnModel : public Model {
 public:
  explicit RnnModel(const v1::JobConfig& canonical)
      : config_(canonical), router_(MakeRouter(canonical)) {}

  std::vector<ParameterSpec> Specs() const override {
    const int64_t e = config_.encoder_dim(), M = config_.modules(), h = CellWidth(config_);
    std::vector<ParameterSpec> specs;
    AddLinear("encoder.0", config_.input_dim() + config_.rules(), e, &specs);
    AddLinear("encoder.2", e, e, &specs);
    if (config_.model() == v1::MONOLITHIC) {
      specs.push_back({"rnn.weight_ih", {4 * h, e}, h});
      specs.push_back({"rnn.weight_hh", {4 * h, h}, h});
      specs.push_back({"rnn.bias_ih", {4 * h}, h});
      specs.push_back({"rnn.bias_hh", {4 * h}, h});
    } else {
      AddLinear("rnn.i2h", e, 4 * M * h, &specs, /*bias=*/false);
      AddLinear("rnn.h2h", h, 4 * M * h, &specs, /*bias=*/false);
      if (config_.model() == v1::MODULAR) {
        specs.push_back({"rnn.scorer.1.w", {M, 8 * h, 1}, 8 * h});
      } else {
        router_->AddParameters(&specs);
      }
    }
    AddLinear("decoder.0", h, h, &specs);
    AddLinear("decoder.2", h, config_.target() == v1::REGRESSION ? config_.input_dim() : 1, &specs);
    return specs;
  }

  std::unique_ptr<Network> Bind(const Parameters& parameters) const override {
    return std::make_unique<RnnNetwork>(config_, router_.get(), parameters);
  }

 private:
  const v1::JobConfig config_;
  const std::unique_ptr<Router> router_;
};

}  // namespace

std::unique_ptr<Model> MakeRnnModel(const v1::JobConfig& canonical) {
  return std::make_unique<RnnModel>(canonical);
}

}  // namespace modlab
