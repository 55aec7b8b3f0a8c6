// What a training step costs: the trainer at several gang sizes, and the naive
// oracle on the same work in the same run. Figures are a step of one job on one
// core; `items_per_second` is jobs x iterations a second.
//
//   ./x bench train [--benchmark_filter=REGEX]

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <map>
#include <string>
#include <vector>

#include "lib/config/job_config.h"
#include "lib/models/mlp_model.h"
#include "lib/train/device.h"
#include "lib/train/evaluation.h"
#include "lib/train/sampler.h"
#include "lib/train/trainer.h"
#include "tests/oracle/mlp_oracle.h"

namespace modlab {
namespace {

constexpr int64_t kSteps = 100;

struct Size {
  int rules;
  int encoder_dim;
  int model_dim;
};

v1::JobConfig Config(v1::ModelType model, const Size& size, int seed) {
  v1::JobConfig config;
  config.set_architecture(v1::MLP);
  config.set_target(v1::REGRESSION);
  config.set_model(model);
  config.set_rules(size.rules);
  config.set_encoder_dim(size.encoder_dim);
  config.set_model_dim(size.model_dim);
  config.set_model_seed(seed);
  config.set_iterations(kSteps);
  config.set_eval_interval(kSteps);
  config.set_eval_batches(1);
  config.set_final_batches(1);
  config.set_final_batch_size(1);
  config.set_activation_batches(1);
  config.set_adaptation_draws(1);
  config.set_adaptation_batches(1);
  return Canonicalise(config).value();
}

class Ignore : public GangObserver {
 public:
  void OnPoint(int, const v1::CurvePoint&) override {}
  void OnFinished(int, const v1::JobResult&, const FinalWeights&) override {}
  void OnFailed(int, const v1::Failure&) override {}
};

void Gang(benchmark::State& state, v1::ModelType model, Size size, int jobs) {
  std::vector<v1::JobConfig> configs;
  for (int j = 0; j < jobs; ++j) configs.push_back(Config(model, size, j));
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

void Naive(benchmark::State& state, v1::ModelType model, Size size) {
  const v1::JobConfig config = Config(model, size, 0);
  std::map<std::string, at::Tensor> parameters;
  for (const ParameterSpec& spec : MlpModel(config).Specs()) {
    parameters[spec.name] = at::empty(spec.shape).uniform_(-0.1, 0.1).set_requires_grad(true);
  }
  Sampler sampler({config}, at::kCPU);
  uint64_t step = 0;
  for (auto _ : state) {
    const MlpBatch batch = sampler.Sample({StreamPurpose::kTraining, step++, config.batch_size()});
    const at::Tensor x = at::cat({batch.digits[0].t(), batch.rule[0]}, 1);
    const OracleOutput output = MlpOracle(config, parameters, x);
    SampleLosses(config.target(), output.prediction, batch.target[0]).mean().backward();
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
  for (const Size& size : {Size{8, 32, 128}, Size{32, 128, 512}}) {
    for (const auto& [name, model] : models) {
      const std::string of = "mlp/" + name + "/r" + std::to_string(size.rules) + "-e" +
                             std::to_string(size.encoder_dim) + "-d" +
                             std::to_string(size.model_dim);
      benchmark::RegisterBenchmark((of + "/naive").c_str(), Naive, model, size)
          ->Unit(benchmark::kMillisecond);
      for (int jobs : {1, 2, 4, 8, 16}) {
        benchmark::RegisterBenchmark((of + "/gang:" + std::to_string(jobs)).c_str(), Gang, model,
                                     size, jobs)
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
