#include "lib/models/mha_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/config/widths.h"
#include "lib/models/attention.h"
#include "lib/models/attention_kernel.h"
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

// A batch whose samples are in tiles, as AttentionInput has them.
class Tiles {
 public:
  // `rows`: that are made of each token.
  Tiles(const Batch& batch, int64_t rows) : length_(batch.length) {
    const int64_t all = batch.columns() / length_;
    samples_ = batch.rule.is_cpu() ? SamplesOf(all, rows * length_) : all;
    const int64_t inputs = batch.input.size(1), rules = batch.rule.size(1);
    tokens_ = at::cat({Turn(batch.input, {length_, -1, samples_}),
                       Turn(batch.rule, {length_, -1, samples_})},
                      1)
                  .reshape({batch.jobs(), inputs + rules, batch.columns()});
    batch_ = {tokens_.narrow(1, 0, inputs), tokens_.narrow(1, inputs, rules), {}, length_};
  }

  int64_t samples() const { return samples_; }  // of a tile
  const Batch& batch() const { return batch_; }
  const at::Tensor& tokens() const { return tokens_; }  // [J, C + R, T] inputs and rules

  // [J, F, T] as the samples stood in the batch.
  at::Tensor Restore(const at::Tensor& features) const {
    return Turn(features, {-1, length_, samples_}).reshape(features.sizes());
  }

 private:
  // Numbers of a tile that the cache shall hold.
  static constexpr int64_t kNumbersMax = 160'000;

  // As many samples as the cache holds, and at least a line of the attention's: a divisor
  // of `all`, of whole lines if there is such, or all.
  static int64_t SamplesOf(int64_t all, int64_t numbers) {
    const int64_t most = std::min(all, std::max<int64_t>(kAttentionSamples, kNumbersMax / numbers));
    int64_t samples = all;
    for (int64_t n = most; n >= kAttentionSamples / 2; --n) {
      if (all % n != 0) continue;
      if (n % kAttentionSamples == 0) return n;
      if (samples == all) samples = n;
    }
    return samples;
  }

  // Columns, by three indices, with the first two swapped.
  static at::Tensor Turn(const at::Tensor& features, const std::array<int64_t, 3>& sizes) {
    return features.view({features.size(0), features.size(1), sizes[0], sizes[1], sizes[2]})
        .transpose(2, 3);
  }

  int64_t length_;
  int64_t samples_;
  at::Tensor tokens_;
  Batch batch_;
};

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
    const Tiles tiles(batch, project_.size(1));
    Output output = mixture_.Decode(tiles.batch(), /*rule_code=*/{}, Hidden(tiles));
    output.prediction = tiles.Restore(output.prediction);
    if (output.p.defined()) output.p = tiles.Restore(output.p);
    return output;
  }

  at::Tensor Route(const Batch& batch) const override {
    const Tiles tiles(batch, project_.size(1));
    return tiles.Restore(mixture_.Route(tiles.batch(), /*rule_code=*/{},
                                        router_->needs_modules() ? Hidden(tiles) : at::Tensor()));
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
  at::Tensor Hidden(const Tiles& tiles) const {
    const at::Tensor encoded = Layer({Get("encoder.0.weight"),
                                      Get("encoder.0.bias"),
                                      tiles.tokens(),
                                      /*relu=*/true,
                                      {}});
    const AttentionShape shape{modules_, heads_, head_width_, tiles.batch().length};
    const at::Tensor joined = Attend({project_, project_bias_, encoded, tiles.samples()}, shape);
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
