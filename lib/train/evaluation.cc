#include "lib/train/evaluation.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "lib/config/job_config.h"
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
  return {at::bmm(rule, p.transpose(1, 2)).to(at::kCPU, at::kDouble),
          rule.sum(2).to(at::kCPU, at::kDouble)};
}

// Of one job's sum over the columns of every output.
at::Tensor SumPerJob(const at::Tensor& values) { return values.flatten(1).sum(1).to(at::kCPU); }

// Columns that are evaluated at once: enough to keep the products busy, and no
// more memory than a training step of the usual size takes.
constexpr int64_t kColumnsMax = 4096;

// Blocks of one length's stream; streams of several lengths lie one after the other.
constexpr uint64_t kBlocksOfLength = uint64_t{1} << 40;

// The metric of `length` in the family of `at_3`, the one of length 3.
v1::Metric AtLength(v1::Metric at_3, int64_t length) {
  return static_cast<v1::Metric>(at_3 - 3 + length);
}

// Batches that one of `batch_size` samples is cut into.
int64_t Parts(int64_t batch_size, int64_t length) {
  const int64_t samples_max = std::max<int64_t>(1, kColumnsMax / length);
  return (batch_size + samples_max - 1) / samples_max;
}

}  // namespace

at::Tensor Losses(v1::Target target, const at::Tensor& prediction, const at::Tensor& y) {
  if (target == v1::REGRESSION) return (prediction - y).abs();
  // -y log s(x) - (1 - y) log(1 - s(x)), without overflow.
  return at::relu(prediction) - prediction * y + at::log1p(at::exp(-prediction.abs()));
}

MeanLoss MeanLosses(v1::Target target, const at::Tensor& prediction, const at::Tensor& y) {
  at::NoGradGuard no_grad;
  at::Tensor gradient;
  if (target == v1::REGRESSION) {
    gradient = (prediction - y).sgn_();
  } else {
    // s(x) - y. Not LibTorch's sigmoid, whose last elements are computed by other code than the
    // rest, so that a job's bits would depend on where in the gang it stands.
    const at::Tensor small = at::exp(-prediction.abs());
    const at::Tensor of_small = small / (small + 1);  // s(-|x|)
    gradient = at::where(prediction < 0, of_small, 1 - of_small).sub_(y);
  }
  const double share = 1.0 / static_cast<double>(prediction[0].numel());
  return {Losses(target, prediction, y).flatten(1).mean(1), gradient.mul_(share)};
}

// Sums over outputs and columns, all on the CPU in double.
struct Evaluation::Totals {
  int64_t outputs = 0;     // of one job
  at::Tensor loss;         // [J]
  at::Tensor correct;      // [J]; CLASSIFICATION only
  at::Tensor activation;   // [J, R, M]; not for MONOLITHIC
  at::Tensor rule_counts;  // [J, R]

  double MeanLoss(int64_t j) const { return loss[j].item<double>() / static_cast<double>(outputs); }
  double AccuracyPercent(int64_t j) const {
    return 100.0 * correct[j].item<double>() / static_cast<double>(outputs);
  }
  // The figure that is reported: lower is better.
  double Figure(bool labels, int64_t j) const {
    return labels ? 100.0 - AccuracyPercent(j) : MeanLoss(j);
  }
};

Evaluation::Evaluation(const v1::JobConfig& shape, const Model& model,
                       std::function<bool()> keep_going)
    : shape_(shape),
      model_(model),
      keep_going_(std::move(keep_going)),
      labels_(shape.target() == v1::CLASSIFICATION),
      routes_(shape.model() != v1::MONOLITHIC),
      length_(shape.has_sequence_length() ? shape.sequence_length() : 1) {
  if (routes_ && shape_.rules() == shape_.modules()) {
    adaptation_draws_ = AdaptationDraws(shape_.rules(), shape_.adaptation_draws());
  }
}

template <typename Visit>
void Evaluation::ForEachBatch(Sampler* sampler, Draw* draw, int64_t batches, int64_t batch_size,
                              const Visit& visit) {
  const int64_t parts = Parts(batch_size, draw->length);
  for (int64_t i = 0; i < batches; ++i) {
    for (int64_t part = 0; part < parts; ++part, ++draw->block) {
      if (!keep_going_()) return;
      draw->samples = batch_size * (part + 1) / parts - batch_size * part / parts;
      visit(sampler->Sample(*draw));
    }
  }
}

Evaluation::Totals Evaluation::Measure(const Parameters& parameters, Sampler* sampler, Draw draw,
                                       int64_t batches, int64_t batch_size) {
  at::NoGradGuard no_grad;
  const std::unique_ptr<Network> network = model_.Bind(parameters);
  const int64_t jobs = parameters.jobs();
  Totals totals;
  totals.loss = at::zeros({jobs}, at::kDouble);
  totals.correct = at::zeros({jobs}, at::kDouble);
  totals.activation = at::zeros({jobs, shape_.rules(), shape_.modules()}, at::kDouble);
  totals.rule_counts = at::zeros({jobs, shape_.rules()}, at::kDouble);
  ForEachBatch(sampler, &draw, batches, batch_size, [&](const Batch& batch) {
    const Network::Output output = network->Forward(batch);
    totals.loss += SumPerJob(Losses(shape_.target(), output.prediction, batch.target));
    if (labels_) totals.correct += SumPerJob(output.prediction.ge(0) == batch.target.gt(0.5));
    if (output.p.defined()) {
      const auto [sums, counts] = SumByRule(output.p, batch.rule);
      totals.activation += sums;
      totals.rule_counts += counts;
    }
    totals.outputs += batch.target.size(1) * batch.columns();
  });
  return totals;
}

std::vector<v1::CurvePoint> Evaluation::Point(const Parameters& parameters, Sampler* sampler,
                                              int64_t index) {
  const auto measure = [&](StreamPurpose purpose, int64_t batches) {
    const auto first = static_cast<uint64_t>(index * batches * Parts(shape_.batch_size(), length_));
    return Measure(parameters, sampler, {purpose, first, 0, length_}, batches, shape_.batch_size());
  };
  const Totals totals = measure(StreamPurpose::kEvaluation, shape_.eval_batches());
  const bool validates = index > 0 && shape_.validation_batches() > 0;
  const Totals validation =
      validates ? measure(StreamPurpose::kValidation, shape_.validation_batches()) : Totals();

  std::vector<v1::CurvePoint> points(static_cast<size_t>(parameters.jobs()));
  for (int64_t j = 0; j < parameters.jobs(); ++j) {
    v1::CurvePoint& point = points[static_cast<size_t>(j)];
    auto* values = point.mutable_values();
    Add(v1::EVAL_LOSS, totals.MeanLoss(j), values);
    if (labels_) Add(v1::EVAL_ACCURACY, totals.AccuracyPercent(j), values);
    if (validates) {
      Add(v1::VALIDATION_LOSS, validation.MeanLoss(j), values);
      if (labels_) Add(v1::VALIDATION_ACCURACY, validation.AccuracyPercent(j), values);
    }
    if (routes_) {
      const Activation activation = ToActivation(totals.activation, totals.rule_counts, j);
      AddSpecialisation(
          activation,
          adaptation_draws_.empty() ? 0.0 : ExpectedAdaptation(activation, adaptation_draws_),
          values);
      StoreActivation(activation, point.mutable_activation());
    }
  }
  return points;
}

std::pair<at::Tensor, at::Tensor> Evaluation::MeasureActivation(const Parameters& parameters,
                                                                Sampler* sampler) {
  at::NoGradGuard no_grad;
  const std::unique_ptr<Network> network = model_.Bind(parameters);
  at::Tensor sums = at::zeros({parameters.jobs(), shape_.rules(), shape_.modules()}, at::kDouble);
  at::Tensor counts = at::zeros({parameters.jobs(), shape_.rules()}, at::kDouble);
  const int64_t batch_size = shape_.has_activation_batch_size() ? shape_.activation_batch_size()
                                                                : shape_.final_batch_size();
  Draw draw{StreamPurpose::kActivation, 0, 0, length_};
  ForEachBatch(sampler, &draw, shape_.activation_batches(), batch_size, [&](const Batch& batch) {
    const auto [sum, count] = SumByRule(network->Route(batch), batch.rule);
    sums += sum;
    counts += count;
  });
  return {sums, counts};
}

std::vector<double> Evaluation::MeasureAdaptation(const Parameters& parameters, Sampler* sampler) {
  at::NoGradGuard no_grad;
  const std::unique_ptr<Network> network = model_.Bind(parameters);
  const int64_t jobs = parameters.jobs(), modules = shape_.modules();
  std::vector<double> distance(static_cast<size_t>(jobs), 0.0);
  Draw draw{StreamPurpose::kAdaptation, 0, 0, length_};
  for (const std::vector<double>& rule_probabilities : adaptation_draws_) {
    draw.rule_weights = &rule_probabilities;
    at::Tensor sum = at::zeros({jobs, modules}, at::kDouble);
    int64_t columns = 0;
    ForEachBatch(sampler, &draw, shape_.adaptation_batches(), shape_.final_batch_size(),
                 [&](const Batch& batch) {
                   sum += network->Route(batch).sum(2).to(at::kCPU);
                   columns += batch.columns();
                 });
    sum /= static_cast<double>(columns);
    for (int64_t j = 0; j < jobs; ++j) {
      const double* mean = sum.data_ptr<double>() + j * modules;
      distance[static_cast<size_t>(j)] +=
          AdaptationDistance(rule_probabilities, {mean, mean + modules}) /
          static_cast<double>(adaptation_draws_.size());
    }
  }
  return distance;
}

void Evaluation::MeasureLength(const Parameters& parameters, Sampler* sampler, int64_t length,
                               std::vector<v1::JobResult>* results) {
  const bool sequences = shape_.architecture() != v1::MLP;
  const uint64_t first = sequences ? static_cast<uint64_t>(length) * kBlocksOfLength : 0;
  const auto measure = [&](StreamPurpose purpose, float scale) {
    return Measure(parameters, sampler, {purpose, first, 0, length, scale}, shape_.final_batches(),
                   shape_.final_batch_size());
  };
  const Totals id = measure(StreamPurpose::kFinalInDistribution, 1.0F);
  const Totals ood = measure(StreamPurpose::kFinalOutOfDistribution, 2.0F);
  for (int64_t j = 0; j < parameters.jobs(); ++j) {
    auto* metrics = (*results)[static_cast<size_t>(j)].mutable_metrics();
    if (!sequences || length == kIdLength) {
      Add(v1::ID, id.Figure(labels_, j), metrics);
      Add(v1::ID_LOSS, id.MeanLoss(j), metrics);
    }
    if (!sequences || length == kOodLength) {
      Add(v1::OOD, ood.Figure(labels_, j), metrics);
      Add(v1::OOD_LOSS, ood.MeanLoss(j), metrics);
    }
    if (!sequences) continue;
    Add(AtLength(v1::ID_L3, length), id.Figure(labels_, j), metrics);
    Add(AtLength(v1::OOD_L3, length), ood.Figure(labels_, j), metrics);
    Add(AtLength(v1::ID_LOSS_L3, length), id.MeanLoss(j), metrics);
    Add(AtLength(v1::OOD_LOSS_L3, length), ood.MeanLoss(j), metrics);
  }
}

std::vector<v1::JobResult> Evaluation::Final(const Parameters& parameters, Sampler* sampler) {
  const int64_t jobs = parameters.jobs();
  std::vector<v1::JobResult> results(static_cast<size_t>(jobs));
  std::vector<int> lengths = EvaluationLengths(shape_);
  if (lengths.empty()) lengths = {1};
  for (const int length : lengths) MeasureLength(parameters, sampler, length, &results);
  if (!routes_) return results;

  const auto [sums, counts] = MeasureActivation(parameters, sampler);
  const std::vector<double> adaptation = MeasureAdaptation(parameters, sampler);
  for (int64_t j = 0; j < jobs; ++j) {
    const Activation activation = ToActivation(sums, counts, j);
    v1::JobResult& result = results[static_cast<size_t>(j)];
    AddSpecialisation(activation, adaptation[static_cast<size_t>(j)], result.mutable_metrics());
    StoreActivation(activation, result.mutable_activation());
  }
  return results;
}

}  // namespace modlab
