#include "lib/models/router.h"

namespace modlab {
namespace {

// The last output of each module is its score. (section 2, "joint scorer")
class JointScorer : public Router {
 public:
  int64_t score_outputs() const override { return 1; }
  bool needs_modules() const override { return true; }
  void AddParameters(std::vector<ParameterSpec>*) const override {}

  at::Tensor Route(const Parameters&, const RouterInput& input) const override {
    const at::Tensor weight = input.output_weight.select(-1, -1);  // [J, M, K]
    const int64_t jobs = weight.size(0), modules = weight.size(1), units = weight.size(2);
    // One product with a block-diagonal matrix: score m sees module m's units only.
    const at::Tensor blocks =
        (weight.unsqueeze(-1) * at::eye(modules, weight.options()).view({1, modules, 1, modules}))
            .view({jobs, modules * units, modules});
    const at::Tensor bias = input.output_bias.select(-1, -1).unsqueeze(1);  // [J, 1, M]
    return at::softmax(at::baddbmm(bias, input.hidden, blocks), -1);
  }
};

// One network, shared by the modules, scores (module output, raw input).
// (section 2, "separate scorer")
class SeparateScorer : public Router {
 public:
  SeparateScorer(int64_t rules, int64_t encoder_dim, int64_t model_dim)
      : rules_(rules), encoder_dim_(encoder_dim), model_dim_(model_dim) {}

  bool needs_modules() const override { return true; }

  void AddParameters(std::vector<ParameterSpec>* specs) const override {
    AddLinear("scorer.0", model_dim_ + 2 + rules_, encoder_dim_, specs);
    AddLinear("scorer.2", encoder_dim_, 1, specs);
  }

  // Batched products of plain 3-D operands throughout: at::matmul would choose
  // its kernels by the number of jobs, and with them the last bits.
  at::Tensor Route(const Parameters& parameters, const RouterInput& input) const override {
    const int64_t jobs = input.hidden.size(0), samples = input.hidden.size(1);
    const int64_t modules = input.output_weight.size(1), units = input.output_weight.size(2);
    const at::Tensor first = parameters.at("scorer.0.weight").transpose(1, 2);  // [J, D+2+R, e]
    const at::Tensor for_output = first.narrow(1, 0, model_dim_);               // [J, D, e]
    // The module's last layer and the scorer's first are both linear: multiply
    // the matrices, and the D outputs of every module are never computed.
    const at::Tensor weight =
        at::bmm(input.output_weight.view({jobs, modules * units, model_dim_}), for_output)
            .view({jobs * modules, units, encoder_dim_});
    const at::Tensor bias = at::bmm(input.output_bias, for_output);                  // [J, M, e]
    const at::Tensor raw = at::cat({input.digits.transpose(1, 2), input.rule}, -1);  // [J, B, 2+R]
    const at::Tensor of_raw = at::baddbmm(parameters.at("scorer.0.bias").unsqueeze(1), raw,
                                          first.narrow(1, model_dim_, 2 + rules_));  // [J, B, e]
    const at::Tensor hidden = input.hidden.view({jobs, samples, modules, units})
                                  .transpose(1, 2)
                                  .contiguous()
                                  .view({jobs * modules, samples, units});
    const at::Tensor of_module =
        at::bmm(hidden, weight).view({jobs, modules, samples, encoder_dim_});
    const at::Tensor code = at::relu(of_module + bias.unsqueeze(2) + of_raw.unsqueeze(1));
    const at::Tensor scores =
        at::baddbmm(parameters.at("scorer.2.bias").unsqueeze(1),
                    code.view({jobs, modules * samples, encoder_dim_}),
                    parameters.at("scorer.2.weight").transpose(1, 2));  // [J, M B, 1]
    return at::softmax(scores.view({jobs, modules, samples}).transpose(1, 2).contiguous(), -1);
  }

 private:
  int64_t rules_;
  int64_t encoder_dim_;
  int64_t model_dim_;
};

// p from the encoded rule alone. (section 2, Modular-op)
class RuleOnly : public Router {
 public:
  RuleOnly(int64_t modules, int64_t encoder_dim) : modules_(modules), encoder_dim_(encoder_dim) {}

  void AddParameters(std::vector<ParameterSpec>* specs) const override {
    AddLinear("scorer", encoder_dim_, modules_, specs);
  }

  at::Tensor Route(const Parameters& parameters, const RouterInput& input) const override {
    // There are only R distinct inputs: route each rule once, then look up.
    const at::Tensor scores =
        at::baddbmm(parameters.at("scorer.bias").unsqueeze(1), input.rule_code,
                    parameters.at("scorer.weight").transpose(1, 2));  // [J, R, M]
    return at::bmm(input.rule, at::softmax(scores, -1));
  }

 private:
  int64_t modules_;
  int64_t encoder_dim_;
};

// p is the rule itself. (section 2, GT-Modular)
class Given : public Router {
 public:
  void AddParameters(std::vector<ParameterSpec>*) const override {}
  at::Tensor Route(const Parameters&, const RouterInput& input) const override {
    return input.rule;
  }
};

}  // namespace

std::unique_ptr<Router> MakeRouter(const v1::JobConfig& canonical) {
  switch (canonical.model()) {
    case v1::MODULAR:
      if (canonical.scorer() == v1::SEPARATE) {
        return std::make_unique<SeparateScorer>(canonical.rules(), canonical.encoder_dim(),
                                                canonical.model_dim());
      }
      return std::make_unique<JointScorer>();
    case v1::MODULAR_OP:
      return std::make_unique<RuleOnly>(canonical.modules(), canonical.encoder_dim());
    case v1::GT_MODULAR:
      return std::make_unique<Given>();
    default:
      return nullptr;
  }
}

}  // namespace modlab
