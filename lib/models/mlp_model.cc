#include "lib/models/mlp_model.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "lib/models/mixture.h"
#include "lib/models/router.h"

namespace modlab {
namespace {

class MlpNetwork : public Network {
 public:
  // `router` is null for MONOLITHIC, which is one module of D units.
  MlpNetwork(const v1::JobConfig& config, const Router* router, const Parameters& parameters)
      : parameters_(parameters),
        router_(router),
        encoder_dim_(config.encoder_dim()),
        model_dim_(config.model_dim()),
        mixture_("MLP.2", router, parameters) {
    Fold();
  }

  Output Forward(const Batch& batch) const override {
    return mixture_.Decode(batch, rule_code_, Hidden(batch));
  }

  at::Tensor Route(const Batch& batch) const override {
    return mixture_.Route(batch, rule_code_,
                          router_->needs_modules() ? Hidden(batch) : at::Tensor());
  }

 private:
  const at::Tensor& Get(const char* name) const { return parameters_.at(name); }

  void Fold() {
    const int64_t jobs = parameters_.jobs(), e = encoder_dim_;

    // A one-hot input picks a column of the rule encoder's first layer.
    const at::Tensor rule_hidden =
        at::relu(Get("encoder_operation.0.weight") + Get("encoder_operation.0.bias").unsqueeze(-1));
    rule_code_ = at::baddbmm(Get("encoder_operation.2.bias").unsqueeze(-1),
                             Get("encoder_operation.2.weight"), rule_hidden);

    // The modules' layers as one matrix each.
    at::Tensor first;       // [J, M K, 3e]
    at::Tensor first_bias;  // [J, M K, 1]
    if (router_ != nullptr) {
      first = Get("MLP.0.w").transpose(2, 3).reshape({jobs, model_dim_, 3 * e});
      first_bias = Get("MLP.0.b").view({jobs, model_dim_, 1});
    } else {
      first = Get("MLP.0.weight");
      first_bias = Get("MLP.0.bias").unsqueeze(-1);
    }

    // The digit encoder's last layer meets the modules' first: once for each digit.
    const at::Tensor of_a = first.narrow(2, 0, e), of_b = first.narrow(2, e, e);
    const at::Tensor& encoder = Get("encoder_digit.2.weight");
    const at::Tensor encoder_bias = Get("encoder_digit.2.bias").unsqueeze(-1);
    // Each sample has one rule, so what all samples share goes into the rule's column.
    const at::Tensor shared = at::baddbmm(first_bias, of_a + of_b, encoder_bias);
    const at::Tensor of_rule = at::baddbmm(shared, first.narrow(2, 2 * e, e), rule_code_);
    first_ = at::cat({at::bmm(of_a, encoder), at::bmm(of_b, encoder), of_rule}, 2);
  }

  // What the modules compute before their last layer, [J, M K, T].
  at::Tensor Hidden(const Batch& batch) const {
    const at::Tensor& weight = Get("encoder_digit.0.weight");  // [J, e, 1]
    const at::Tensor bias = Get("encoder_digit.0.bias").unsqueeze(-1);
    const auto code = [&](int64_t digit) {
      return at::relu(at::addcmul(bias, batch.input.narrow(1, digit, 1), weight));
    };
    return at::relu(at::bmm(first_, at::cat({code(0), code(1), batch.rule}, 1)));
  }

  const Parameters& parameters_;
  const Router* const router_;
  const int64_t encoder_dim_;
  const int64_t model_dim_;
  const Mixture mixture_;
  at::Tensor rule_code_;  // [J, e, R]
  at::Tensor first_;      // [J, M K, 2e + R] (encoded digits, rule) -> hidden
};

class MlpModel : public Model {
 public:
  explicit MlpModel(const v1::JobConfig& canonical)
      : config_(canonical), router_(MakeRouter(canonical)) {}

  std::vector<ParameterSpec> Specs() const override {
    const int64_t e = config_.encoder_dim(), D = config_.model_dim(), M = config_.modules();
    std::vector<ParameterSpec> specs;
    AddLinear("encoder_digit.0", 1, e, &specs);
    AddLinear("encoder_digit.2", e, e, &specs);
    AddLinear("encoder_operation.0", config_.rules(), e, &specs);
    AddLinear("encoder_operation.2", e, e, &specs);
    if (router_) {
      AddGroupLinear("MLP.0", M, 3 * e, D / M, &specs);
      AddGroupLinear("MLP.2", M, D / M, D + router_->score_outputs(), &specs);
      router_->AddParameters(&specs);
    } else {
      AddLinear("MLP.0", 3 * e, D, &specs);
      AddLinear("MLP.2", D, D, &specs);
    }
    AddLinear("decoder.0", D, e, &specs);
    AddLinear("decoder.2", e, 1, &specs);
    return specs;
  }

  std::unique_ptr<Network> Bind(const Parameters& parameters) const override {
    return std::make_unique<MlpNetwork>(config_, router_.get(), parameters);
  }

 private:
  const v1::JobConfig config_;
  const std::unique_ptr<Router> router_;
};

}  // namespace

std::unique_ptr<Model> MakeMlpModel(const v1::JobConfig& canonical) {
  return std::make_unique<MlpModel>(canonical);
}

}  // namespace modlab
