#include "lib/models/mixture.h"

#include <vector>

#include "lib/models/fold.h"
#include "lib/models/layer.h"

namespace modlab {

Mixture::Mixture(const std::string& layer, const Router* router, const Parameters& parameters)
    : parameters_(parameters), router_(router) {
  const at::Tensor& decoder = parameters.at("decoder.0.weight");  // [J, e, D]
  last_bias_ = parameters.at("decoder.0.bias");
  if (router_ == nullptr) {
    last_ = Layer({decoder, {}, parameters.at(layer + ".weight"), /*relu=*/false, {}});
    const at::Tensor bias = parameters.at(layer + ".bias").unsqueeze(-1);
    last_bias_ = Layer({decoder, last_bias_, bias, /*relu=*/false, {}}).squeeze(-1);
    return;
  }
  weight_ = parameters.at(layer + ".w");
  bias_ = parameters.at(layer + ".b");
  const DecoderFold fold = FoldDecoder(decoder, weight_, bias_);
  last_ = fold.last;
  if (router_->score_outputs() > 0) {
    score_weight_ = fold.score_weight;
    score_bias_ = fold.score_bias;
  }
}

Network::Output Mixture::Decode(const Batch& batch, const at::Tensor& rule_code,
                                const at::Tensor& hidden) const {
  Network::Output output;
  at::Tensor mixed = hidden;
  if (router_ != nullptr) {
    mixed = router_->MixModules(parameters_, RouteBy(batch, rule_code, hidden));
    output.p = mixed.detach().narrow(1, hidden.size(1), weight_.size(1));
  }
  const at::Tensor decoded = Layer({last_, last_bias_, mixed, /*relu=*/true, {}});
  output.prediction = Layer({parameters_.at("decoder.2.weight"),
                             parameters_.at("decoder.2.bias"),
                             decoded,
                             /*relu=*/false,
                             {}});
  return output;
}

Network::Output Mixture::DecodeSorted(const Batch& batch, const RuleOrder& order,
                                      const at::Tensor& hidden) const {
  const int64_t jobs = last_.size(0), e = last_.size(1);
  const int64_t modules = weight_.size(1), units = weight_.size(2);
  const std::vector<at::Tensor> parts = last_.split_with_sizes({modules * units, modules}, 2);
  const at::Tensor weight = parts[0].view({jobs, e, modules, units}).transpose(1, 2);
  const at::Tensor bias = parts[1].transpose(1, 2) + last_bias_.unsqueeze(1);  // [J, M, e]
  const at::Tensor decoded = Layer({weight, bias, hidden, /*relu=*/true, order.columns()});
  const at::Tensor prediction = Layer({parameters_.at("decoder.2.weight"),
                                       parameters_.at("decoder.2.bias"),
                                       decoded,
                                       /*relu=*/false,
                                       {}});
  return {order.Restore(prediction), batch.rule};
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
