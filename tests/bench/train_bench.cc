// What a training step costs, and where: for each architecture, model type and size the
// trainer's step in gangs of several sizes, and the naive oracle on the same work in the
// same run. All on one core; times are processor time, so that what else runs on the
// machine disturbs less, and the best of several rounds.
//
//   ./x bench train [--filter REGEX] [--gangs 1,8] [--rounds N] [--no-oracle]
//
// Columns: milliseconds a step and job; jobs x iterations a second; how many times
// faster than the oracle; which part of the limit, that is of 6 x multiply-adds of all
// samples (multiply_adds.h) at 90 GFLOP/s; and the milliseconds by part of the step.
// Telemetry is a point of the curves divided by the steps from one to the next.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "lib/models/model.h"
#include "lib/train/adam.h"
#include "lib/train/device.h"
#include "lib/train/evaluation.h"
#include "lib/train/sampler.h"
#include "lib/train/stack.h"
#include "lib/train/trainer.h"
#include "tests/bench/multiply_adds.h"
#include "tests/oracle/mha_oracle.h"
#include "tests/oracle/mlp_oracle.h"
#include "tests/oracle/rnn_oracle.h"

namespace modlab {
namespace {

constexpr double kGigaflopsOfCore = 90;

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
  return Canonicalise(config).value();
}

int64_t Length(const v1::JobConfig& config) {
  return config.has_sequence_length() ? config.sequence_length() : 1;
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

// Of this thread, in processor time.
double Seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Calls `step` in rounds of about a tenth of a second, at least two steps each. Seconds
// a step of the fastest round. After each, `round_ended` is told how many steps it had
// and whether it was the fastest so far.
template <typename Step, typename RoundEnded>
double BestRound(int rounds, const Step& step, const RoundEnded& round_ended) {
  step();  // buffers are made
  round_ended(1, false);
  double best = 1e30;
  for (int round = 0; round < rounds; ++round) {
    const double start = Seconds();
    int steps = 0;
    double seconds = 0;
    while (steps < 2 || seconds < 0.1) {
      step();
      ++steps;
      seconds = Seconds() - start;
    }
    round_ended(steps, seconds / steps < best);
    best = std::min(best, seconds / steps);
  }
  return best;
}

// Milliseconds a step of the oracle and of plain gradient descent, cheaper than Adam.
double NaiveMilliseconds(const v1::JobConfig& config, int rounds) {
  const Oracle oracle = OracleOf(config.architecture());
  std::map<std::string, at::Tensor> parameters;
  for (const TensorShape& tensor : ModelTensors(config)) {
    parameters[tensor.name] = at::empty(tensor.shape).uniform_(-0.1, 0.1).set_requires_grad(true);
  }
  Sampler sampler({config}, at::kCPU);
  uint64_t block = 0;
  const auto step = [&] {
    const Batch batch =
        sampler.Sample({StreamPurpose::kTraining, block++, config.batch_size(), Length(config)});
    // [features, N B] -> [N, B, features]
    const auto tokens = [&](const at::Tensor& columns) {
      return columns[0].t().reshape({Length(config), config.batch_size(), columns.size(1)});
    };
    const at::Tensor x = at::cat({tokens(batch.input), tokens(batch.rule)}, 2);
    const OracleOutput output = oracle(config, parameters, x);
    Losses(config.target(), output.prediction, tokens(batch.target)).mean().backward();
    at::NoGradGuard no_grad;
    for (auto& [name, tensor] : parameters) {
      if (!tensor.grad().defined()) continue;
      tensor.sub_(tensor.grad(), 1e-4);
      tensor.mutable_grad().zero_();
    }
  };
  return 1e3 * BestRound(rounds, step, [](int, bool) {});
}

struct Cost {
  double step = 0;  // milliseconds a step and job, with telemetry
  StepTimes parts;
  double telemetry = 0;
};

Cost GangCost(v1::ModelType model, const Shape& shape, int jobs, int rounds) {
  std::vector<v1::JobConfig> configs;
  std::vector<double> learning_rates;
  for (int j = 0; j < jobs; ++j) {
    configs.push_back(Config(model, shape, j));
    learning_rates.push_back(configs.back().learning_rate());
  }
  const v1::JobConfig& config = configs.front();
  const std::unique_ptr<Model> network = MakeModel(config);
  Parameters parameters(network->Specs(), jobs, at::TensorOptions().dtype(at::kFloat));
  for (int j = 0; j < jobs; ++j) parameters.Initialise(j, configs[static_cast<size_t>(j)]);
  parameters.RequireGradients();
  Stack stack(config, *network, parameters, Adam(parameters, learning_rates),
              Sampler(configs, at::kCPU), at::zeros({jobs}, at::kDouble));

  Cost cost;
  StepTimes times;
  int64_t step = 0;
  const double scale = 1e3 / jobs;
  const double best = BestRound(
      rounds, [&] { stack.Step(++step, &times); },
      [&](int steps, bool is_best) {
        const double part = scale / steps;
        if (is_best) {
          cost.parts = {times.data * part, times.forward * part, times.backward * part,
                        times.optimizer * part};
        }
        times = {};
      });
  Evaluation evaluation(config, *network, [] { return true; });
  int64_t index = 0;
  const double point = BestRound(
      1, [&] { evaluation.Point(stack.parameters(), stack.sampler(), ++index); }, [](int, bool) {});
  cost.telemetry = point * scale / config.eval_interval();
  cost.step = best * scale + cost.telemetry;
  return cost;
}

void Print(const std::string& name, double naive, int jobs, const v1::JobConfig& config,
           const Cost& cost) {
  const double operations =
      6 * MultiplyAddsPerToken(config) * static_cast<double>(config.batch_size() * Length(config));
  const double limit = operations / kGigaflopsOfCore * 1e-6;
  std::printf(
      "| %-34s | %4d | %8.3f | %8.1f | %6.1f | %5.0f%% | %6.3f | %7.3f | %8.3f | %9.3f | "
      "%9.4f |\n",
      name.c_str(), jobs, cost.step, 1e3 / cost.step, naive / cost.step, 100 * limit / cost.step,
      cost.parts.data, cost.parts.forward, cost.parts.backward, cost.parts.optimizer,
      cost.telemetry);
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  std::string filter = ".*";
  std::vector<int> gangs = {1, 8};
  int rounds = 5;
  bool without_oracle = false;
  CLI::App app("Times training steps on one core.", "train_bench");
  app.add_option("--filter", filter, "Regular expression of names, as in mlp/modular/r8")
      ->capture_default_str();
  app.add_option("--gangs", gangs, "Gang sizes")->delimiter(',')->capture_default_str();
  app.add_option("--rounds", rounds, "Rounds, of which the fastest counts")->capture_default_str();
  app.add_flag("--no-oracle", without_oracle, "Do not time the oracle: for a profiler");
  CLI11_PARSE(app, argc, argv);
  PrepareProcess();

  const std::vector<std::pair<std::string, v1::ModelType>> models = {
      {"monolithic", v1::MONOLITHIC},
      {"modular", v1::MODULAR},
      {"modular_op", v1::MODULAR_OP},
      {"gt_modular", v1::GT_MODULAR}};
  std::printf(
      "| %-34s | gang | ms       | jobs*it/s | naive/ | limit  | data   | forward | "
      "backward | optimizer | telemetry |\n",
      "");
  for (const Shape& shape :
       {Shape{v1::MLP, 8, 32, 128}, Shape{v1::MLP, 32, 128, 512}, Shape{v1::MLP, 8, 512, 2048},
        Shape{v1::MHA, 8, 32, 128}, Shape{v1::RNN, 8, 32, 128}}) {
    for (const auto& [model_name, model] : models) {
      const std::string name = absl::StrCat(
          absl::AsciiStrToLower(v1::Architecture_Name(shape.architecture)), "/", model_name, "/r",
          shape.rules, "-e", shape.encoder_dim, "-d", shape.model_dim);
      if (!std::regex_search(name, std::regex(filter))) continue;
      const v1::JobConfig config = Config(model, shape, 0);
      const double naive = without_oracle ? 0.0 : NaiveMilliseconds(config, std::min(rounds, 3));
      for (const int jobs : gangs) {
        Print(name, naive, jobs, config, GangCost(model, shape, jobs, rounds));
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace modlab

int main(int argc, char** argv) { return modlab::Main(argc, argv); }
