#include "lib/models/mlp_model.h"

namespace modlab {

MlpModel::MlpModel(const v1::JobConfig& canonical)
    : rules_(canonical.rules()),
      modules_(canonical.modules()),
      encoder_dim_(canonical.encoder_dim()),
      model_dim_(canonical.model_dim()),
      units_(canonical.model_dim() / canonical.modules()),
      router_(MakeRouter(canonical)) {}

std::vector<ParameterSpec> MlpModel::Specs() const {
  std::vector<ParameterSpec> specs;
  AddLinear("encoder_digit.0", 1, encoder_dim_, &specs);
  AddLinear("encoder_digit.2", encoder_dim_, encoder_dim_, &specs);
  AddLinear("encoder_operation.0", rules_, encoder_dim_, &specs);
  AddLinear("encoder_operation.2", encoder_dim_, encoder_dim_, &specs);
  if (router_) {
    AddGroupLinear("MLP.0", modules_, 3 * encoder_dim_, units_, &specs);
    AddGroupLinear("MLP.2", modules_, units_, model_dim_ + router_->score_outputs(), &specs);
    router_->AddParameters(&specs);
  } else {
    AddLinear("MLP.0", 3 * encoder_dim_, model_dim_, &specs);
    AddLinear("MLP.2", model_dim_, model_dim_, &specs);
  }
  AddLinear("decoder.0", model_dim_, encoder_dim_, &specs);
  AddLinear("decoder.2", encoder_dim_, 1, &specs);
  return specs;
}

MlpModel::Folded MlpModel::Fold(const Parameters& parameters) const {
  const int64_t jobs = parameters.jobs(), e = encoder_dim_;
  const auto get = [&](const char* name) -> const at::Tensor& { return parameters.at(name); };
  Folded folded;

  // A one-hot input picks a column of the rule encoder's first layer.
  const at::Tensor rule_hidden = at::relu(get("encoder_operation.0.weight").transpose(1, 2) +
                                          get("encoder_operation.0.bias").unsqueeze(1));
  folded.rule_code = at::baddbmm(get("encoder_operation.2.bias").unsqueeze(1), rule_hidden,
                                 get("encoder_operation.2.weight").transpose(1, 2));

  // The modules' layers as one matrix each; MONOLITHIC is one module of D units.
  at::Tensor first;       // [J, 3e, M K]
  at::Tensor first_bias;  // [J, 1, M K]
  if (router_) {
    first = get("MLP.0.w").permute({0, 2, 1, 3}).reshape({jobs, 3 * e, model_dim_});
    first_bias = get("MLP.0.b").view({jobs, 1, model_dim_});
    folded.output_weight = get("MLP.2.w");
    folded.output_bias = get("MLP.2.b").squeeze(1);
  } else {
    first = get("MLP.0.weight").transpose(1, 2);
    first_bias = get("MLP.0.bias").unsqueeze(1);
    folded.output_weight = get("MLP.2.weight").transpose(1, 2).unsqueeze(1);
    folded.output_bias = get("MLP.2.bias").unsqueeze(1);
  }

  // The digit encoder's last layer meets the modules' first: once for each digit.
  const at::Tensor of_a = first.narrow(1, 0, e), of_b = first.narrow(1, e, e);
  const at::Tensor encoder = get("encoder_digit.2.weight").transpose(1, 2);  // [J, e, e]
  const at::Tensor encoder_bias = get("encoder_digit.2.bias").unsqueeze(1);  // [J, 1, e]
  // Each sample has one rule, so what all samples share goes into the rule's row.
  const at::Tensor shared = at::baddbmm(first_bias, encoder_bias, of_a + of_b);
  const at::Tensor of_rule = at::baddbmm(shared, folded.rule_code, first.narrow(1, 2 * e, e));
  folded.first = at::cat({at::bmm(encoder, of_a), at::bmm(encoder, of_b), of_rule}, 1);

  // The modules' last layer meets the decoder's first.
  const at::Tensor decoder = get("decoder.0.weight").transpose(1, 2);  // [J, D, e]
  const at::Tensor output_weight =
      folded.output_weight.narrow(-1, 0, model_dim_).reshape({jobs, model_dim_, model_dim_});
  folded.last = at::cat({at::bmm(output_weight, decoder),
                         at::bmm(folded.output_bias.narrow(-1, 0, model_dim_), decoder)},
                        1);
  return folded;
}

at::Tensor MlpModel::Hidden(const Parameters& parameters, const Folded& folded,
                            const MlpBatch& batch) const {
  const at::Tensor weight = parameters.at("encoder_digit.0.weight").view({-1, 1, 1, encoder_dim_});
  const at::Tensor bias = parameters.at("encoder_digit.0.bias").view({-1, 1, 1, encoder_dim_});
  const at::Tensor code = at::relu(at::addcmul(bias, batch.digits.unsqueeze(-1), weight));
  const at::Tensor input = at::cat({code.select(1, 0), code.select(1, 1), batch.rule}, -1);
  return at::relu(at::bmm(input, folded.first));
}

at::Tensor MlpModel::Route(const Parameters& parameters, const Folded& folded,
                           const MlpBatch& batch) const {
  RouterInput input{batch.digits, batch.rule,           folded.rule_code,
                    {},           folded.output_weight, folded.output_bias};
  if (router_->needs_modules()) input.hidden = Hidden(parameters, folded, batch);
  return router_->Route(parameters, input);
}

MlpModel::Output MlpModel::Forward(const Parameters& parameters, const Folded& folded,
                                   const MlpBatch& batch) const {
  const int64_t jobs = batch.rule.size(0), samples = batch.rule.size(1);
  Output output;
  at::Tensor mixed = Hidden(parameters, folded, batch);
  at::Tensor p;
  if (router_) {
    output.p = router_->Route(parameters, {batch.digits, batch.rule, folded.rule_code, mixed,
                                           folded.output_weight, folded.output_bias});
    p = output.p;
    mixed = (mixed.view({jobs, samples, modules_, units_}) * p.unsqueeze(-1))
                .view({jobs, samples, model_dim_});
  } else {
    p = at::ones({jobs, samples, 1}, batch.rule.options());
  }
  const at::Tensor decoded =
      at::relu(at::baddbmm(parameters.at("decoder.0.bias").unsqueeze(1), at::cat({mixed, p}, -1),
                           folded.last));  // [J, B, e]
  output.prediction = at::baddbmm(parameters.at("decoder.2.bias").unsqueeze(1), decoded,
                                  parameters.at("decoder.2.weight").transpose(1, 2))
                          .squeeze(-1);
  return output;
}

}  // namespace modlab
