// What a training step costs: the trainer at several gang sizes, and the naive
// oracle on the same work in the same run. Figures are a step of one job on one
// core; `items_per_second` is jobs x iterations a second.
//
//   ./x bench train [--benchmark_filter=REGEX]

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "lib/train/device.h"
#include "lib/train/evaluation.h"
#include "lib/train/sampler.h"
#include "lib/train/trainer.h"
#include "tests/oracle/mha_oracle.h"
#include "tests/oracle/mlp_oracle.h"
#include "tests/oracle/rnn_oracle.h"

namespace modlab {
namespace {

constexpr int64_t kSteps = 100;

struct Shape {
  v1::Architecture architecture;
  int rules;
  int encoder_dim;
  int model_dim;
};

v1::JobConfig Config(v1::ModelType model, const Shape& shape, int seed) {
  v1::JobConfig config;
  config.set_architecture(shape.architecture);
  config.set_target(v1::REGRESSION);
  config.set_model(model);
  config.set_rules(shape.rules);
  config.set_encoder_dim(shape.encoder_dim);
  config.set_model_dim(shape.model_dim);
  config.set_model_seed(seed);
  config.set_iterations(kSteps);
  config.set_eval_interval(kSteps);
  config.set_eval_batches(1);
  config.set_validation_batches(0);
  config.set_final_batches(1);
  config.set_final_batch_size(1);
  config.set_activation_batches(1);
  config.set_adaptation_draws(1);
  config.set_adaptation_batches(1);
  return Canonicalise(config).value();
}

Oracle OracleOf(v1::Architecture architecture) {
  switch (architecture) {
    case v1::MHA:
      return MhaOracle;
    case v1::RNN:
      return RnnOracle;
    default:
      return MlpOracle;
  }
}

class Ignore : public GangObserver {
 public:
  void OnPoint(int, const v1::CurvePoint&) override {}
  void OnFinished(int, const v1::JobResult&, const FinalWeights&) override {}
  void OnFailed(int, const v1::Failure&) override {}
};

void Gang(benchmark::State& state, v1::ModelType model, Shape shape, int jobs) {
  std::vector<v1::JobConfig> configs;
  for (int j = 0; j < jobs; ++j) configs.push_back(Config(model, shape, j));
  for (auto _ : state) {
    Ignore ignore;
    const absl::Status status = Trainer::Create(configs, "cpu").value()->Run(&ignore);
    if (!status.ok()) state.SkipWithError(status.ToString().c_str());
  }
  state.SetItemsProcessed(state.iterations() * kSteps * jobs);
  state.counters["ms_per_step_and_job"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kSteps * jobs) / 1e3,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void Naive(benchmark::State& state, v1::ModelType model, Shape shape) {
  const v1::JobConfig config = Config(model, shape, 0);
  const Oracle oracle = OracleOf(shape.architecture);
  std::map<std::string, at::Tensor> parameters;
  for (const TensorShape& tensor : ModelTensors(config)) {
    parameters[tensor.name] = at::empty(tensor.shape).uniform_(-0.1, 0.1).set_requires_grad(true);
  }
  Sampler sampler({config}, at::kCPU);
  const int64_t length = config.has_sequence_length() ? config.sequence_length() : 1;
  uint64_t step = 0;
  for (auto _ : state) {
    const Batch batch =
        sampler.Sample({StreamPurpose::kTraining, step++, config.batch_size(), length});
    // [features, N B] -> [N, B, features]
    const auto tokens = [&](const at::Tensor& columns) {
      return columns[0].t().reshape({length, config.batch_size(), columns.size(1)});
    };
    const at::Tensor x = at::cat({tokens(batch.input), tokens(batch.rule)}, 2);
    const OracleOutput output = oracle(config, parameters, x);
    Losses(config.target(), output.prediction, tokens(batch.target)).mean().backward();
    at::NoGradGuard no_grad;
    for (auto& [name, tensor] : parameters) {
      if (!tensor.grad().defined()) continue;
      tensor.sub_(tensor.grad(), 1e-4);  // plain descent: cheaper than Adam
      tensor.mutable_grad().zero_();
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["ms_per_step_and_job"] =
      benchmark::Counter(static_cast<double>(state.iterations()) / 1e3,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void RegisterAll() {
  const std::vector<std::pair<std::string, v1::ModelType>> models = {
      {"monolithic", v1::MONOLITHIC},
      {"modular", v1::MODULAR},
      {"modular_op", v1::MODULAR_OP},
      {"gt_modular", v1::GT_MODULAR}};
  for (const Shape& shape : {Shape{v1::MLP, 8, 32, 128}, Shape{v1::MLP, 32, 128, 512},
                             Shape{v1::MHA, 8, 32, 128}, Shape{v1::RNN, 8, 32, 128}}) {
    for (const auto& [name, model] : models) {
      const std::string of =
          absl::StrCat(absl::AsciiStrToLower(v1::Architecture_Name(shape.architecture)), "/", name,
                       "/r", shape.rules, "-e", shape.encoder_dim, "-d", shape.model_dim);
      benchmark::RegisterBenchmark((of + "/naive").c_str(), Naive, model, shape)
          ->Unit(benchmark::kMillisecond);
      for (const int jobs : {1, 2, 4, 8, 16}) {
        benchmark::RegisterBenchmark(absl::StrCat(of, "/gang:", jobs).c_str(), Gang, model, shape,
                                     jobs)
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

}  // namespace
}  // namespace modlab

int main(int argc, char** argv) {
  modlab::PrepareProcess();
  modlab::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
