#include "lib/train/evaluation.h"

#include <c10/core/GradMode.h>

#include <utility>

#include "lib/metrics/specialisation.h"

namespace modlab {
namespace {

void Add(v1::Metric metric, double value, google::protobuf::RepeatedPtrField<v1::MetricValue>* to) {
  v1::MetricValue* added = to->Add();
  added->set_metric(metric);
  added->set_value(value);
}

// P of job `j` from sums of p by rule and samples by rule. A rule that was never
// drawn tells nothing: it counts as uniform.
Activation ToActivation(const at::Tensor& sums, const at::Tensor& counts, int64_t j) {
  const at::Tensor job_sums = sums[j].contiguous(), job_counts = counts[j].contiguous();
  Activation activation{static_cast<int>(sums.size(1)), static_cast<int>(sums.size(2)), {}};
  const auto* sum = job_sums.data_ptr<double>();
  const auto* count = job_counts.data_ptr<double>();
  for (int r = 0; r < activation.rules; ++r) {
    for (int m = 0; m < activation.modules; ++m) {
      const double mean =
          count[r] > 0 ? sum[r * activation.modules + m] / count[r] : 1.0 / activation.modules;
      activation.p.push_back(mean / activation.rules);
    }
  }
  return activation;
}

void StoreActivation(const Activation& activation, v1::ActivationMatrix* to) {
  to->set_rules(activation.rules);
  to->set_modules(activation.modules);
  for (double p : activation.p) to->add_values(static_cast<float>(p));
}

void AddSpecialisation(const Activation& activation, double adaptation,
                       google::protobuf::RepeatedPtrField<v1::MetricValue>* to) {
  Add(v1::COLLAPSE_AVG, CollapseAvg(activation), to);
  Add(v1::COLLAPSE_WORST, CollapseWorst(activation), to);
  if (activation.rules == activation.modules) {
    Add(v1::ALIGNMENT, Alignment(activation), to);
    Add(v1::ADAPTATION, adaptation, to);
  }
  Add(v1::INVERSE_MI, InverseMutualInformation(activation), to);
}

// [J, R, M] and [J, R] of one batch, in double.
std::pair<at::Tensor, at::Tensor> SumByRule(const at::Tensor& p, const at::Tensor& rule) {
  return {at::bmm(rule.transpose(1, 2), p).to(at::kCPU, at::kDouble),
          rule.sum(1).to(at::kCPU, at::kDouble)};
}

}  // namespace

at::Tensor SampleLosses(v1::Target target, const at::Tensor& prediction, const at::Tensor& y) {
  if (target == v1::REGRESSION) return (prediction - y).abs();
  // -y log s(x) - (1 - y) log(1 - s(x)), without overflow. Not LibTorch's own: its
  // gradient is a sigmoid whose last elements are computed by other code than
  // the rest, so that a job's bits would depend on where in the gang it stands.
  return at::relu(prediction) - prediction * y + at::log1p(at::exp(-prediction.abs()));
}

// Sums over samples, all on the CPU in double.
struct Evaluation::Totals {
  int64_t samples = 0;
  at::Tensor loss;         // [J]
  at::Tensor correct;      // [J]; CLASSIFICATION only
  at::Tensor activation;   // [J, R, M]; not for MONOLITHIC
  at::Tensor rule_counts;  // [J, R]

  double MeanLoss(int64_t j) const { return loss[j].item<double>() / static_cast<double>(samples); }
  double AccuracyPercent(int64_t j) const {
    return 100.0 * correct[j].item<double>() / static_cast<double>(samples);
  }
};

Evaluation::Evaluation(const v1::JobConfig& shape, const MlpModel& model,
                       std::function<bool()> keep_going)
    : shape_(shape), model_(model), keep_going_(std::move(keep_going)) {
  if (shape_.model() != v1::MONOLITHIC && shape_.rules() == shape_.modules()) {
    adaptation_draws_ = AdaptationDraws(shape_.rules(), shape_.adaptation_draws());
  }
}

Evaluation::Totals Evaluation::Measure(const Parameters& parameters, Sampler* sampler, Draw draw,
                                       int64_t batches) {
  at::NoGradGuard no_grad;
  const MlpModel::Folded folded = model_.Fold(parameters);
  const int64_t jobs = parameters.jobs();
  Totals totals;
  totals.loss = at::zeros({jobs}, at::kDouble);
  totals.correct = at::zeros({jobs}, at::kDouble);
  totals.activation = at::zeros({jobs, shape_.rules(), shape_.modules()}, at::kDouble);
  totals.rule_counts = at::zeros({jobs, shape_.rules()}, at::kDouble);
  for (int64_t i = 0; i < batches && keep_going_(); ++i, ++draw.block) {
    const MlpBatch batch = sampler->Sample(draw);
    const MlpModel::Output output = model_.Forward(parameters, folded, batch);
    totals.loss +=
        SampleLosses(shape_.target(), output.prediction, batch.target).sum(1).to(at::kCPU);
    if (shape_.target() == v1::CLASSIFICATION) {
      totals.correct += (output.prediction.ge(0) == batch.target.gt(0.5)).sum(1).to(at::kCPU);
    }
    if (output.p.defined()) {
      const auto [sums, counts] = SumByRule(output.p, batch.rule);
      totals.activation += sums;
      totals.rule_counts += counts;
    }
    totals.samples += draw.samples;
  }
  return totals;
}

std::vector<v1::CurvePoint> Evaluation::Point(const Parameters& parameters, Sampler* sampler,
                                              int64_t index) {
  const int64_t batches = shape_.eval_batches();
  Draw draw{StreamPurpose::kEvaluation, static_cast<uint64_t>(index * batches),
            shape_.batch_size()};
  const Totals totals = Measure(parameters, sampler, draw, batches);
  std::vector<v1::CurvePoint> points(parameters.jobs());
  for (int64_t j = 0; j < parameters.jobs(); ++j) {
    auto* values = points[j].mutable_values();
    Add(v1::EVAL_LOSS, totals.MeanLoss(j), values);
    if (shape_.target() == v1::CLASSIFICATION) {
      Add(v1::EVAL_ACCURACY, totals.AccuracyPercent(j), values);
    }
    if (model_.has_router()) {
      const Activation activation = ToActivation(totals.activation, totals.rule_counts, j);
      AddSpecialisation(
          activation,
          adaptation_draws_.empty() ? 0.0 : ExpectedAdaptation(activation, adaptation_draws_),
          values);
      StoreActivation(activation, points[j].mutable_activation());
    }
  }
  return points;
}

std::pair<at::Tensor, at::Tensor> Evaluation::MeasureActivation(const Parameters& parameters,
                                                                Sampler* sampler) {
  at::NoGradGuard no_grad;
  const MlpModel::Folded folded = model_.Fold(parameters);
  at::Tensor sums = at::zeros({parameters.jobs(), shape_.rules(), shape_.modules()}, at::kDouble);
  at::Tensor counts = at::zeros({parameters.jobs(), shape_.rules()}, at::kDouble);
  Draw draw{StreamPurpose::kActivation, 0, shape_.final_batch_size()};
  for (int64_t i = 0; i < shape_.activation_batches() && keep_going_(); ++i, ++draw.block) {
    const MlpBatch batch = sampler->Sample(draw);
    const auto [sum, count] = SumByRule(model_.Route(parameters, folded, batch), batch.rule);
    sums += sum;
    counts += count;
  }
  return {sums, counts};
}

std::vector<double> Evaluation::MeasureAdaptation(const Parameters& parameters, Sampler* sampler) {
  at::NoGradGuard no_grad;
  const MlpModel::Folded folded = model_.Fold(parameters);
  const int64_t jobs = parameters.jobs();
  std::vector<double> distance(jobs, 0.0);
  Draw draw{StreamPurpose::kAdaptation, 0, shape_.final_batch_size()};
  for (const std::vector<double>& rule_probabilities : adaptation_draws_) {
    draw.rule_weights = &rule_probabilities;
    at::Tensor sum = at::zeros({jobs, shape_.modules()}, at::kDouble);
    for (int i = 0; i < shape_.adaptation_batches() && keep_going_(); ++i, ++draw.block) {
      sum += model_.Route(parameters, folded, sampler->Sample(draw)).mean(1).to(at::kCPU);
    }
    sum /= static_cast<double>(shape_.adaptation_batches());
    for (int64_t j = 0; j < jobs; ++j) {
      const double* mean = sum.data_ptr<double>() + j * shape_.modules();
      distance[j] += AdaptationDistance(rule_probabilities, {mean, mean + shape_.modules()}) /
                     static_cast<double>(adaptation_draws_.size());
    }
  }
  return distance;
}

std::vector<v1::JobResult> Evaluation::Final(const Parameters& parameters, Sampler* sampler) {
  const int64_t jobs = parameters.jobs();
  const Totals id = Measure(parameters, sampler,
                            {StreamPurpose::kFinalInDistribution, 0, shape_.final_batch_size()},
                            shape_.final_batches());
  const Totals ood = Measure(
      parameters, sampler,
      {StreamPurpose::kFinalOutOfDistribution, 0, shape_.final_batch_size(), /*scale=*/2.0F},
      shape_.final_batches());

  std::vector<v1::JobResult> results(jobs);
  const bool labels = shape_.target() == v1::CLASSIFICATION;
  for (int64_t j = 0; j < jobs; ++j) {
    auto* metrics = results[j].mutable_metrics();
    Add(v1::ID, labels ? 100.0 - id.AccuracyPercent(j) : id.MeanLoss(j), metrics);
    Add(v1::OOD, labels ? 100.0 - ood.AccuracyPercent(j) : ood.MeanLoss(j), metrics);
    Add(v1::ID_LOSS, id.MeanLoss(j), metrics);
    Add(v1::OOD_LOSS, ood.MeanLoss(j), metrics);
  }
  if (!model_.has_router()) return results;

  const auto [sums, counts] = MeasureActivation(parameters, sampler);
  const std::vector<double> adaptation = MeasureAdaptation(parameters, sampler);
  for (int64_t j = 0; j < jobs; ++j) {
    const Activation activation = ToActivation(sums, counts, j);
    AddSpecialisation(activation, adaptation[j], results[j].mutable_metrics());
    StoreActivation(activation, results[j].mutable_activation());
  }
  return results;
}

}  // namespace modlab
