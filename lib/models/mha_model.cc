#include "lib/models/mha_model.h"

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/config/widths.h"
#include "lib/models/attention.h"
#include "lib/models/layer.h"
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
        mixture_("model.out_proj.2", router, parameters,
                 int64_t{config.batch_size()} * config.sequence_length()) {
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

  // The encoder's last layer meets the modules' first: four layers of one input.
  void FoldEncoder() {
    const double scale = 1.0 / std::sqrt(static_cast<double>(head_width_));
    const at::Tensor weight =
        at::cat({Get("model.query_net.weight") * scale, Get("model.key_net.weight"),
                 Get("model.value_net.weight"), Get("model.in_.weight")},
                1);  // [J, 3A + M h, e]
    const at::Tensor bias = at::cat({Get("model.query_net.bias") * scale, Get("model.key_net.bias"),
                                     Get("model.value_net.bias"), Get("model.in_.bias")},
                                    1);
    project_ = Layer({weight, {}, Get("encoder.2.weight"), /*relu=*/false, {}});
    const at::Tensor encoder_bias = Get("encoder.2.bias").unsqueeze(-1);
    project_bias_ = Layer({weight, bias, encoder_bias, /*relu=*/false, {}}).squeeze(-1);
  }

  void StackModules() {
    if (router_ != nullptr) {
      first_ = Get("model.out_proj.0.w").transpose(2, 3);
      first_bias_ = Get("model.out_proj.0.b").squeeze(1);
    } else {
      first_ = Get("model.out_proj.0.weight");
      first_bias_ = Get("model.out_proj.0.bias");
    }
  }

  // What the modules compute before their last layer, [J, M I, T].
  at::Tensor Hidden(const Batch& batch) const {
    const at::Tensor encoded = Layer({Get("encoder.0.weight"),
                                      Get("encoder.0.bias"),
                                      at::cat({batch.input, batch.rule}, 1),
                                      /*relu=*/true,
                                      {}});
    const AttentionShape shape{modules_, heads_, head_width_, batch.length};
    const at::Tensor joined =
        Attend(Layer({project_, project_bias_, encoded, /*relu=*/false, {}}), shape);
    return Layer({first_, first_bias_, joined, /*relu=*/true, {}});
  }

  const Parameters& parameters_;
  const Router* const router_;
  const int64_t modules_;
  const int64_t heads_;       // H, of each module
  const int64_t head_width_;  // h
  const Mixture mixture_;
  at::Tensor project_;       // [J, 3A + M h, e] encoded -> query, key, value, in_
  at::Tensor project_bias_;  // [J, 3A + M h]
  at::Tensor first_;         // [J, M, I, (H + 1) h] heads' outputs, in_ -> hidden
  at::Tensor first_bias_;    // [J, M, I]
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
