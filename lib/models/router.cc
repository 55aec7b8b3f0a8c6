#include "lib/models/router.h"

#include <string>
#include <utility>

#include "lib/config/widths.h"
#include "lib/models/mixing.h"

namespace modlab {
namespace {

// Row r of `table` for every column whose rule is r. [J, M, R], [J, R, T] -> [J, M, T].
at::Tensor LookUp(const at::Tensor& table, const at::Tensor& rule) { return at::bmm(table, rule); }

// The last output of each module is its score. (section 2, "joint scorer")
class JointScorer : public Router {
 public:
  int64_t score_outputs() const override { return 1; }
  bool needs_modules() const override { return true; }
  void AddParameters(std::vector<ParameterSpec>*) const override {}

  at::Tensor Route(const Parameters& parameters, const RouterInput& input) const override {
    const int64_t modules = input.score_weight.size(1), units = input.hidden.size(1);
    return MixModules(parameters, input).narrow(1, units, modules);
  }

  at::Tensor MixModules(const Parameters&, const RouterInput& input) const override {
    return MixScored(input.hidden, input.score_weight, input.score_bias);
  }
};

// One network, shared by the modules, scores (module output, raw input).
// (section 2, "separate scorer")
class SeparateScorer : public Router {
 public:
  explicit SeparateScorer(const v1::JobConfig& canonical)
      : rules_(canonical.rules()),
        encoder_dim_(canonical.encoder_dim()),
        model_dim_(canonical.model_dim()) {}

  bool needs_modules() const override { return true; }

  void AddParameters(std::vector<ParameterSpec>* specs) const override {
    AddLinear("scorer.0", model_dim_ + 2 + rules_, encoder_dim_, specs);
    AddLinear("scorer.2", encoder_dim_, 1, specs);
  }

  // Batched products of plain 3-D operands throughout: at::matmul would choose
  // its kernels by the number of jobs, and with them the last bits.
  at::Tensor Route(const Parameters& parameters, const RouterInput& input) const override {
    const int64_t jobs = input.hidden.size(0), columns = input.hidden.size(2);
    const int64_t modules = input.output_weight.size(1), units = input.output_weight.size(2);
    const at::Tensor& first = parameters.at("scorer.0.weight");   // [J, e, D+2+R]
    const at::Tensor of_output = first.narrow(2, 0, model_dim_);  // [J, e, D]
    // The module's last layer and the scorer's first are both linear: multiply
    // the matrices, and the D outputs of every module are never computed.
    const at::Tensor weight =
        at::bmm(input.output_weight.reshape({jobs, modules * units, model_dim_}),
                of_output.transpose(1, 2))
            .view({jobs * modules, units, encoder_dim_});
    const at::Tensor bias =
        at::bmm(input.output_bias.squeeze(1), of_output.transpose(1, 2));  // [J, M, e]
    const at::Tensor of_raw = at::baddbmm(parameters.at("scorer.0.bias").unsqueeze(-1),
                                          first.narrow(2, model_dim_, 2 + rules_),
                                          at::cat({input.input, input.rule}, 1));  // [J, e, T]
    const at::Tensor of_module =
        at::bmm(weight.transpose(1, 2), input.hidden.view({jobs * modules, units, columns}))
            .view({jobs, modules, encoder_dim_, columns});
    const at::Tensor code = at::relu(of_module + bias.unsqueeze(-1) + of_raw.unsqueeze(1));
    // [J, 1, e] and [J, e, M T]
    const at::Tensor scores =
        at::baddbmm(parameters.at("scorer.2.bias").unsqueeze(-1), parameters.at("scorer.2.weight"),
                    code.transpose(1, 2).reshape({jobs, encoder_dim_, modules * columns}));
    return at::softmax(scores.view({jobs, modules, columns}), 1);
  }

 private:
  int64_t rules_;
  int64_t encoder_dim_;
  int64_t model_dim_;
};

// p from the encoded rule alone: one layer. (section 2, MLP, Modular-op)
class RuleCodeOnly : public Router {
 public:
  explicit RuleCodeOnly(const v1::JobConfig& canonical)
      : modules_(canonical.modules()), encoder_dim_(canonical.encoder_dim()) {}

  void AddParameters(std::vector<ParameterSpec>* specs) const override {
    AddLinear("scorer", encoder_dim_, modules_, specs);
  }

  at::Tensor Route(const Parameters& parameters, const RouterInput& input) const override {
    // There are only R distinct inputs: route each rule once, then look up.
    const at::Tensor scores =
        at::baddbmm(parameters.at("scorer.bias").unsqueeze(-1), parameters.at("scorer.weight"),
                    input.rule_code);  // [J, M, R]
    return LookUp(at::softmax(scores, 1), input.rule);
  }

 private:
  int64_t modules_;
  int64_t encoder_dim_;
};

// p from the rule alone: two layers. (section 2, MHA and RNN, Modular-op)
class RuleOnly : public Router {
 public:
  // `name` is the network's in the published code.
  RuleOnly(std::string name, int64_t rules, int64_t hidden, int64_t modules, bool bias)
      : name_(std::move(name)), rules_(rules), hidden_(hidden), modules_(modules), bias_(bias) {}

  void AddParameters(std::vector<ParameterSpec>* specs) const override {
    AddLinear(name_ + ".0", rules_, hidden_, specs, bias_);
    AddLinear(name_ + ".2", hidden_, modules_, specs, bias_);
  }

  at::Tensor Route(const Parameters& parameters, const RouterInput& input) const override {
    // A one-hot input picks a column of the first layer.
    at::Tensor hidden = parameters.at(name_ + ".0.weight");  // [J, h, R]
    if (bias_) hidden = hidden + parameters.at(name_ + ".0.bias").unsqueeze(-1);
    const at::Tensor& weight = parameters.at(name_ + ".2.weight");
    const at::Tensor scores = bias_ ? at::baddbmm(parameters.at(name_ + ".2.bias").unsqueeze(-1),
                                                  weight, at::relu(hidden))
                                    : at::bmm(weight, at::relu(hidden));  // [J, M, R]
    return LookUp(at::softmax(scores, 1), input.rule);
  }

 private:
  std::string name_;
  int64_t rules_;
  int64_t hidden_;
  int64_t modules_;
  bool bias_;
};

// p is the rule itself. (section 2, GT-Modular)
class Given : public Router {
 public:
  bool is_given() const override { return true; }
  void AddParameters(std::vector<ParameterSpec>*) const override {}
  at::Tensor Route(const Parameters&, const RouterInput& input) const override {
    return input.rule;
  }
};

std::unique_ptr<Router> MakeScorer(const v1::JobConfig& canonical) {
  if (canonical.architecture() == v1::RNN) return nullptr;
  if (canonical.scorer() == v1::SEPARATE) return std::make_unique<SeparateScorer>(canonical);
  return std::make_unique<JointScorer>();
}

std::unique_ptr<Router> MakeRuleOnly(const v1::JobConfig& canonical) {
  const int64_t rules = canonical.rules(), modules = canonical.modules();
  switch (canonical.architecture()) {
    case v1::MHA:
      return std::make_unique<RuleOnly>("model.scorer", rules, HeadWidth(canonical), modules,
                                        /*bias=*/true);
    case v1::RNN:
      return std::make_unique<RuleOnly>("rnn.scorer", rules, CellWidth(canonical), modules,
                                        /*bias=*/false);
    default:
      return std::make_unique<RuleCodeOnly>(canonical);
  }
}

}  // namespace

at::Tensor Router::MixModules(const Parameters& parameters, const RouterInput& input) const {
  return Mix(input.hidden, Route(parameters, input));
}

std::unique_ptr<Router> MakeRouter(const v1::JobConfig& canonical) {
  switch (canonical.model()) {
    case v1::MODULAR:
      return MakeScorer(canonical);
    case v1::MODULAR_OP:
      return MakeRuleOnly(canonical);
    case v1::GT_MODULAR:
      return std::make_unique<Given>();
    default:
      return nullptr;
  }
}

}  // namespace modlab
