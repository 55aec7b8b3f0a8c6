#include "lib/models/mha_model.h"

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/config/widths.h"
#include "lib/models/attention.h"
#include "lib/models/mixture.h"
#include "lib/models/router.h"

namespace modlab {
namespace {

// The real-valued inputs of a token: 4 a rule where the search is by numbers, 6
// where it is by 2-vectors. (section 1)
int64_t InputDim(const v1::JobConfig& config) {
  return (config.search_version() == 2 ? 6 : 4) * int64_t{config.rules()};
}

class MhaNetwork : public Network {
 public:
  // `router` is null for MONOLITHIC, which is one module.
  MhaNetwork(const v1::JobConfig& config, const Router* router, const Parameters& parameters)
      : parameters_(parameters),
        router_(router),
        modules_(config.modules()),
        heads_(config.heads()),
        head_width_(HeadWidth(config)),
        hidden_width_(ModuleHiddenWidth(config)),
        input_dim_(InputDim(config)),
        mixture_("model.out_proj.2", router, parameters) {
    FoldEncoder();
    StackModules();
  }

  Output Forward(const Batch& batch) const override {
    return mixture_.Decode(batch, /*rule_code=*/{}, Hidden(batch));
  }

  at::Tensor Route(const Batch& batch) const override {
    return mixture_.Route(batch, /*rule_code=*/{},
                          router_->needs_modules() ? Hidden(batch) : at::Tensor());
  }

 private:
  const at::Tensor& Get(const char* name) const { return parameters_.at(name); }

  void FoldEncoder() {
    const int64_t jobs = parameters_.jobs(), R = Get("encoder.0.weight").size(2) - input_dim_;
    const at::Tensor& encoder = Get("encoder.0.weight");  // [J, e, C + R]

    // Each token has one rule, so what all tokens share goes into the rules' columns.
    // One more unit is always 1: what follows needs no bias either.
    const at::Tensor of_rule =
        encoder.narrow(2, input_dim_, R) + Get("encoder.0.bias").unsqueeze(-1);
    const at::Tensor one = at::cat({at::zeros({jobs, 1, input_dim_}, encoder.options()),
                                    at::ones({jobs, 1, R}, encoder.options())},
                                   2);
    encode_ = at::cat({at::cat({encoder.narrow(2, 0, input_dim_), of_rule}, 2), one}, 1);

    // The encoder's last layer meets the modules' first: four layers of one input.
    const double scale = 1.0 / std::sqrt(static_cast<double>(head_width_));
    const at::Tensor weight =
        at::cat({Get("model.query_net.weight") * scale, Get("model.key_net.weight"),
                 Get("model.value_net.weight"), Get("model.in_.weight")},
                1);  // [J, 3A + M h, e]
    const at::Tensor bias = at::cat({Get("model.query_net.bias") * scale, Get("model.key_net.bias"),
                                     Get("model.value_net.bias"), Get("model.in_.bias")},
                                    1)
                                .unsqueeze(-1);
    project_ = at::cat({at::bmm(weight, Get("encoder.2.weight")),
                        at::baddbmm(bias, weight, Get("encoder.2.bias").unsqueeze(-1))},
                       2);
  }

  void StackModules() {
    const int64_t jobs = parameters_.jobs();
    if (router_ != nullptr) {
      const at::Tensor& weight = Get("model.out_proj.0.w");  // [J, M, (H + 1) h, I]
      first_ = weight.transpose(2, 3).reshape({jobs * modules_, hidden_width_, weight.size(2)});
      first_bias_ = Get("model.out_proj.0.b").view({jobs * modules_, hidden_width_, 1});
    } else {
      first_ = Get("model.out_proj.0.weight");
      first_bias_ = Get("model.out_proj.0.bias").unsqueeze(-1);
    }
  }

  // What the modules compute before their last layer, [J, M I, T].
  at::Tensor Hidden(const Batch& batch) const {
    const int64_t jobs = batch.jobs(), columns = batch.columns();
    const at::Tensor encoded =
        at::relu(at::bmm(encode_, at::cat({batch.input, batch.rule}, 1)));  // [J, e + 1, T]
    const AttentionShape shape{modules_, heads_, head_width_, batch.length};
    const at::Tensor joined = Attend(at::bmm(project_, encoded), shape)
                                  .view({jobs * modules_, (heads_ + 1) * head_width_, columns});
    return at::relu(at::baddbmm(first_bias_, first_, joined))
        .view({jobs, modules_ * hidden_width_, columns});
  }

  const Parameters& parameters_;
  const Router* const router_;
  const int64_t modules_;
  const int64_t heads_;         // H, of each module
  const int64_t head_width_;    // h
  const int64_t hidden_width_;  // I
  const int64_t input_dim_;     // C
  const Mixture mixture_;
  at::Tensor encode_;      // [J, e + 1, C + R]
  at::Tensor project_;     // [J, 3A + M h, e + 1] encoded -> query, key, value, in_
  at::Tensor first_;       // [J M, I, (H + 1) h] heads' outputs, in_ -> hidden
  at::Tensor first_bias_;  // [J M, I, 1]
};

class MhaModel : public Model {
 public:
  explicit MhaModel(const v1::JobConfig& canonical)
      : config_(canonical), router_(MakeRouter(canonical)) {}

  std::vector<ParameterSpec> Specs() const override {
    const int64_t e = config_.encoder_dim(), M = config_.modules(), H = config_.heads();
    const int64_t h = HeadWidth(config_), I = ModuleHiddenWidth(config_);
    std::vector<ParameterSpec> specs;
    AddLinear("encoder.0", InputDim(config_) + config_.rules(), e, &specs);
    AddLinear("encoder.2", e, e, &specs);
    AddLinear("decoder.0", e, e, &specs);
    AddLinear("decoder.2", e, 1, &specs);
    AddLinear("model.query_net", e, H * M * h, &specs);
    AddLinear("model.key_net", e, H * M * h, &specs);
    AddLinear("model.value_net", e, H * M * h, &specs);
    AddLinear("model.in_", e, M * h, &specs);
    if (router_) {
      router_->AddParameters(&specs);
      AddGroupLinear("model.out_proj.0", M, (H + 1) * h, I, &specs);
      AddGroupLinear("model.out_proj.2", M, I, e + router_->score_outputs(), &specs);
    } else {
      AddLinear("model.out_proj.0", (H + 1) * h, I, &specs);
      AddLinear("model.out_proj.2", I, e, &specs);
    }
    return specs;
  }

  std::unique_ptr<Network> Bind(const Parameters& parameters) const override {
    return std::make_unique<MhaNetwork>(config_, router_.get(), parameters);
  }

 private:
  const v1::JobConfig config_;
  const std::unique_ptr<Router> router_;
};

}  // namespace

std::unique_ptr<Model> MakeMhaModel(const v1::JobConfig& canonical) {
  return std::make_unique<MhaModel>(canonical);
}

}  // namespace modlab
