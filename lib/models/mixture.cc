#include "lib/models/mixture.h"

namespace modlab {

Mixture::Mixture(const std::string& layer, const Router* router, const Parameters& parameters)
    : parameters_(parameters), router_(router) {
  if (router_ != nullptr) {
    weight_ = parameters.at(layer + ".w");
    bias_ = parameters.at(layer + ".b").squeeze(1);
  } else {
    weight_ = parameters.at(layer + ".weight").transpose(1, 2).unsqueeze(1);
    bias_ = parameters.at(layer + ".bias").unsqueeze(1);
  }
  const at::Tensor& decoder = parameters.at("decoder.0.weight");  // [J, e, D]
  const int64_t jobs = decoder.size(0), outputs = decoder.size(2);
  const at::Tensor weight =
      weight_.narrow(-1, 0, outputs).reshape({jobs, weight_.size(1) * weight_.size(2), outputs});
  last_ = at::cat({at::bmm(decoder, weight.transpose(1, 2)),
                   at::bmm(decoder, bias_.narrow(-1, 0, outputs).transpose(1, 2))},
                  2);
}

Network::Output Mixture::Decode(const Batch& batch, const at::Tensor& rule_code,
                                const at::Tensor& hidden) const {
  const int64_t jobs = batch.jobs(), columns = batch.columns();
  Network::Output output;
  at::Tensor mixed = hidden;
  at::Tensor p;
  if (router_ != nullptr) {
    output.p = Route(batch, rule_code, hidden);
    p = output.p;
    mixed = (hidden.view({jobs, weight_.size(1), weight_.size(2), columns}) * p.unsqueeze(2))
                .view(hidden.sizes());
  } else {
    p = at::ones({jobs, 1, columns}, batch.rule.options());
  }
  const at::Tensor decoded = at::relu(
      at::baddbmm(parameters_.at("decoder.0.bias").unsqueeze(-1), last_, at::cat({mixed, p}, 1)));
  output.prediction = at::baddbmm(parameters_.at("decoder.2.bias").unsqueeze(-1),
                                  parameters_.at("decoder.2.weight"), decoded);
  return output;
}

at::Tensor Mixture::Route(const Batch& batch, const at::Tensor& rule_code,
                          const at::Tensor& hidden) const {
  return router_->Route(parameters_, {batch.input, batch.rule, rule_code, hidden, weight_, bias_});
}

}  // namespace modlab
