#include "lib/models/mixture.h"

#include <vector>

#include "lib/models/fold.h"
#include "lib/models/layer.h"

namespace modlab {

namespace {

// Whether multiplying the modules' last layer, U units to D outputs, with the decoder's, D to
// e, takes fewer operations than giving T columns to one after the other, of each of which
// `units` take part.
bool IsFolded(int64_t U, int64_t D, int64_t e, int64_t T, int64_t units) {
  return U * D * e + T * units * e <= T * units * D + T * D * e;
}

}  // namespace

Mixture::Mixture(const std::string& layer, const Router* router, const Parameters& parameters,
                 int64_t columns)
    : parameters_(parameters), router_(router) {
  const at::Tensor& decoder = parameters.at("decoder.0.weight");  // [J, e, D]
  const int64_t e = decoder.size(1), D = decoder.size(2);
  last_bias_ = parameters.at("decoder.0.bias");
  if (router_ == nullptr) {
    weight_ = parameters.at(layer + ".weight");
    bias_ = parameters.at(layer + ".bias");
    if (!IsFolded(weight_.size(2), D, e, columns, weight_.size(2))) return;
    last_ = Layer({decoder, {}, weight_, /*relu=*/false, {}});
    last_bias_ = Layer({decoder, last_bias_, bias_.unsqueeze(-1), /*relu=*/false, {}}).squeeze(-1);
    return;
  }
  weight_ = parameters.at(layer + ".w");
  bias_ = parameters.at(layer + ".b");
  const int64_t modules = weight_.size(1), K = weight_.size(2), scores = router_->score_outputs();
  const bool sorted = router_->is_given();
  if (IsFolded(modules * K, D, e, columns, sorted ? K : modules * K)) {
    const DecoderFold fold = FoldDecoder(decoder, weight_, bias_);
    last_ = fold.last;
    score_weight_ = fold.score_weight;
    score_bias_ = fold.score_bias;
  } else {
    score_weight_ = weight_.narrow(3, D, scores).flatten(2);
    score_bias_ = bias_.narrow(3, D, scores).flatten(1);
  }
}

Network::Output Mixture::Decode(const Batch& batch, const at::Tensor& rule_code,
                                const at::Tensor& hidden) const {
  Network::Output output;
  at::Tensor mixed = hidden;
  const int64_t units = hidden.size(1);
  if (router_ != nullptr) {
    mixed = router_->MixModules(parameters_, RouteBy(batch, rule_code, hidden));
    output.p = mixed.detach().narrow(1, units, weight_.size(1));
  }
  if (last_.defined()) {
    output.prediction = Finish(Layer({last_, last_bias_, mixed, /*relu=*/true, {}}));
    return output;
  }
  at::Tensor y;  // [J, D, T]
  if (router_ == nullptr) {
    y = Layer({weight_, bias_, mixed, /*relu=*/false, {}});
  } else {
    const int64_t outputs = weight_.size(3) - router_->score_outputs();
    const at::Tensor weight = weight_.narrow(3, 0, outputs).flatten(1, 2);  // [J, M K, D]
    const at::Tensor bias = bias_.narrow(3, 0, outputs).squeeze(1);         // [J, M, D]
    y = Layer({weight.transpose(1, 2), {}, mixed.narrow(1, 0, units), /*relu=*/false, {}}) +
        Layer({bias.transpose(1, 2),
               {},
               mixed.narrow(1, units, weight_.size(1)),
               /*relu=*/false,
               {}});
  }
  output.prediction =
      Finish(Layer({parameters_.at("decoder.0.weight"), last_bias_, y, /*relu=*/true, {}}));
  return output;
}

Network::Output Mixture::DecodeSorted(const Batch& batch, const RuleOrder& order,
                                      const at::Tensor& hidden) const {
  const int64_t jobs = weight_.size(0), modules = weight_.size(1), units = weight_.size(2);
  at::Tensor decoded;
  if (last_.defined()) {
    const std::vector<at::Tensor> parts = last_.split_with_sizes({modules * units, modules}, 2);
    const at::Tensor weight = parts[0].view({jobs, -1, modules, units}).transpose(1, 2);
    const at::Tensor bias = parts[1].transpose(1, 2) + last_bias_.unsqueeze(1);  // [J, M, e]
    decoded = Layer({weight, bias, hidden, /*relu=*/true, order.columns()});
  } else {
    const at::Tensor y =
        Layer({weight_.transpose(2, 3), bias_, hidden, /*relu=*/false, order.columns()});
    decoded = Layer({parameters_.at("decoder.0.weight"), last_bias_, y, /*relu=*/true, {}});
  }
  return {order.Restore(Finish(decoded)), batch.rule};
}

at::Tensor Mixture::Finish(const at::Tensor& decoded) const {
  return Layer({parameters_.at("decoder.2.weight"),
                parameters_.at("decoder.2.bias"),
                decoded,
                /*relu=*/false,
                {}});
}

at::Tensor Mixture::Route(const Batch& batch, const at::Tensor& rule_code,
                          const at::Tensor& hidden) const {
  return router_->Route(parameters_, RouteBy(batch, rule_code, hidden));
}

RouterInput Mixture::RouteBy(const Batch& batch, const at::Tensor& rule_code,
                             const at::Tensor& hidden) const {
  return {batch.input, batch.rule, rule_code, hidden, weight_, bias_, score_weight_, score_bias_};
}

}  // namespace modlab
