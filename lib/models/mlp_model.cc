#include "lib/models/mlp_model.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lib/models/digit_layer.h"
#include "lib/models/fold.h"
#include "lib/models/layer.h"
#include "lib/models/mixture.h"
#include "lib/models/router.h"
#include "lib/models/rule_order.h"

namespace modlab {
namespace {

// Whether multiplying the modules' first layer with the digit encoder's last takes fewer
// operations than giving the samples of a training step to one after the other.
bool FoldsDigits(const v1::JobConfig& config) {
  const int64_t e = config.encoder_dim(), D = config.model_dim(), B = config.batch_size();
  // Units that a sample has: with GT-Modular those of one module.
  const int64_t units = config.model() == v1::GT_MODULAR ? D / config.modules() : D;
  return D * e * e <= B * e * e + B * units * e;
}

class MlpNetwork : public Network {
 public:
  // `router` is null for MONOLITHIC, which is one module of D units.
  MlpNetwork(const v1::JobConfig& config, const Router* router, const Parameters& parameters)
      : parameters_(parameters),
        router_(router),
        modules_(config.modules()),
        folds_digits_(FoldsDigits(config)),
        mixture_("MLP.2", router, parameters, config.batch_size()) {
    Fold();
  }

  Output Forward(const Batch& batch) const override {
    if (router_ != nullptr && router_->is_given() && batch.rule.is_cpu()) {
      const RuleOrder order(batch.rule);
      const at::Tensor units =
          First(order.Sort(batch.input), order.Sort(batch.rule), order.columns());
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

    InputFold fold;
    if (router_ != nullptr) {
      fold.weight = Get("MLP.0.w").transpose(2, 3);
      fold.bias = Get("MLP.0.b");
    } else {
      fold.weight = Get("MLP.0.weight");
      fold.bias = Get("MLP.0.bias");
    }
    fold.rule_code = rule_code_;
    if (folds_digits_) {
      fold.digit_weight = Get("encoder_digit.2.weight");
      fold.digit_bias = Get("encoder_digit.2.bias");
    }
    first_ = FoldInputs(fold);
  }

  // What the modules compute before their last layer, [J, M K, T].
  at::Tensor Hidden(const Batch& batch) const { return First(batch.input, batch.rule, {}); }

  // The same; with `columns`, as in LayerInput, of each module its own columns, [J, K, T].
  at::Tensor First(const at::Tensor& input, const at::Tensor& rule,
                   const at::Tensor& columns) const {
    if (folds_digits_) {
      return DigitLayer({Get("encoder_digit.0.weight"), Get("encoder_digit.0.bias"), first_, input,
                         rule, columns});
    }
    const at::Tensor hidden = EncodeBoth("encoder_digit.0", input, /*relu=*/true);
    const at::Tensor weight = columns.defined()
                                  ? first_.view({first_.size(0), first_.size(1), modules_, -1})
                                  : first_.unsqueeze(2);
    return Layer({weight.permute({0, 2, 3, 1}), /*bias=*/{},
                  EncodeBoth("encoder_digit.2", hidden, /*relu=*/false), /*relu=*/true, columns,
                  rule});
  }

  // One layer for both digits.
  at::Tensor EncodeBoth(const std::string& layer, const at::Tensor& x, bool relu) const {
    const at::Tensor weight = parameters_.at(layer + ".weight").unsqueeze(1);  // [J, 1, e, in]
    const at::Tensor bias = parameters_.at(layer + ".bias").unsqueeze(1);
    return Layer({weight.expand({-1, 2, -1, -1}), bias.expand({-1, 2, -1}), x, relu, {}});
  }

  const Parameters& parameters_;
  const Router* const router_;
  const int64_t modules_;
  const bool folds_digits_;
  const Mixture mixture_;
  at::Tensor rule_code_;  // [J, e, R]
  at::Tensor first_;      // [J, 2e + R, M K] (digits, rule) -> hidden
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
