#include "lib/models/mlp_model.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "lib/models/fold.h"
#include "lib/models/layer.h"
#include "lib/models/mixture.h"
#include "lib/models/router.h"
#include "lib/models/rule_order.h"

namespace modlab {
namespace {

class MlpNetwork : public Network {
 public:
  // `router` is null for MONOLITHIC, which is one module of D units.
  MlpNetwork(const v1::JobConfig& config, const Router* router, const Parameters& parameters)
      : parameters_(parameters),
        router_(router),
        encoder_dim_(config.encoder_dim()),
        modules_(config.modules()),
        mixture_("MLP.2", router, parameters) {
    Fold();
  }

  Output Forward(const Batch& batch) const override {
    if (router_ != nullptr && router_->is_given() && batch.rule.is_cpu()) {
      const RuleOrder order(batch.rule);
      const at::Tensor units =
          Layer({first_.view({first_.size(0), modules_, -1, first_.size(2)}),
                 /*bias=*/{}, Coded(order.Sort(batch.input), order.Sort(batch.rule)),
                 /*relu=*/true, order.columns()});
      return mixture_.DecodeSorted(batch, order, units);
    }
    return mixture_.Decode(batch, rule_code_, Hidden(batch));
  }

  at::Tensor Route(const Batch& batch) const override {
    return mixture_.Route(batch, rule_code_,
                          router_->needs_modules() ? Hidden(batch) : at::Tensor());
  }

 private:
  const at::Tensor& Get(const char* name) const { return parameters_.at(name); }

  void Fold() {
    // A one-hot input picks a column of the rule encoder's first layer.
    const at::Tensor rule_hidden =
        at::relu(Get("encoder_operation.0.weight") + Get("encoder_operation.0.bias").unsqueeze(-1));
    rule_code_ = Layer({Get("encoder_operation.2.weight"),
                        Get("encoder_operation.2.bias"),
                        rule_hidden,
                        /*relu=*/false,
                        {}});

    DigitFold fold;
    if (router_ != nullptr) {
      fold.weight = Get("MLP.0.w").transpose(2, 3);
      fold.bias = Get("MLP.0.b").squeeze(1);
    } else {
      fold.weight = Get("MLP.0.weight").unsqueeze(1);
      fold.bias = Get("MLP.0.bias").unsqueeze(1);
    }
    fold.digit_weight = Get("encoder_digit.2.weight");
    fold.digit_bias = Get("encoder_digit.2.bias");
    fold.rule_code = rule_code_;
    first_ = FoldDigits(fold);
  }

  // What the modules compute before their last layer, [J, M K, T].
  at::Tensor Hidden(const Batch& batch) const {
    return Layer({first_, /*bias=*/{}, Coded(batch.input, batch.rule), /*relu=*/true, {}});
  }

  // What first_ is given, [J, 2e + R, T].
  at::Tensor Coded(const at::Tensor& input, const at::Tensor& rule) const {
    // One layer for both digits.
    const int64_t jobs = input.size(0), e = encoder_dim_;
    const at::Tensor weight = Get("encoder_digit.0.weight").unsqueeze(1).expand({jobs, 2, e, 1});
    const at::Tensor bias = Get("encoder_digit.0.bias").unsqueeze(1).expand({jobs, 2, e});
    return at::cat({Layer({weight, bias, input, /*relu=*/true, {}}), rule}, 1);
  }

  const Parameters& parameters_;
  const Router* const router_;
  const int64_t encoder_dim_;
  const int64_t modules_;
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
