// lib/models against the oracle: predictions, p and every gradient, in double,
// at random sizes.

#include "tests/oracle/rnn_oracle.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "lib/config/widths.h"
#include "lib/models/model.h"
#include "lib/models/parameters.h"

namespace modlab {
namespace {

constexpr double kTolerance = 1e-11;

struct Case {
  v1::ModelType model;
  v1::Target target;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << v1::ModelType_Name(c.model) << " " << v1::Target_Name(c.target);
}

v1::JobConfig RandomConfig(const Case& c, std::mt19937* random) {
  const auto between = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(*random);
  };
  v1::JobConfig config;
  config.set_architecture(v1::RNN);
  config.set_model(c.model);
  config.set_target(c.target);
  config.set_rules(between(2, 6));
  config.set_input_dim(between(1, 5));
  config.set_encoder_dim(between(1, 9));
  config.set_modules(1);
  if (c.model == v1::GT_MODULAR) config.set_modules(config.rules());
  if (c.model == v1::MODULAR || c.model == v1::MODULAR_OP) config.set_modules(between(2, 5));
  do {
    config.set_model_dim(between(2, 16));
  } while (CellWidth(config) < 1);
  config.set_batch_size(between(1, 35));
  config.set_sequence_length(between(1, 8));
  return config;
}

// [J, F, N B] -> one job's [B, N, F]
at::Tensor BySample(const at::Tensor& columns, int64_t job, int64_t length) {
  const at::Tensor of_job = columns[job];
  return of_job.view({of_job.size(0), length, -1}).permute({2, 1, 0});
}

Batch RandomBatch(const v1::JobConfig& config, int64_t jobs) {
  Batch batch;
  batch.length = config.sequence_length();
  const int64_t columns = batch.length * config.batch_size();
  const bool regression = config.target() == v1::REGRESSION;
  batch.input = at::randn({jobs, config.input_dim(), columns}, at::kDouble);
  batch.rule = at::one_hot(at::randint(config.rules(), {jobs, columns}, at::kLong), config.rules())
                   .to(at::kDouble)
                   .transpose(1, 2)
                   .contiguous();
  batch.target = at::randn({jobs, regression ? config.input_dim() : 1, columns}, at::kDouble);
  if (!regression) batch.target = batch.target.ge(0).to(at::kDouble);
  return batch;
}

// As section 1 defines it.
at::Tensor Loss(const v1::JobConfig& config, const at::Tensor& prediction,
                const at::Tensor& target) {
  if (config.target() == v1::REGRESSION) return at::abs(prediction - target).mean();
  const at::Tensor probability = at::sigmoid(prediction);
  return -(target * at::log(probability) + (1 - target) * at::log(1 - probability)).mean();
}

class RnnOracleTest : public testing::TestWithParam<Case> {};

TEST_P(RnnOracleTest, AgreesInOutputsAndAllGradients) {
  at::manual_seed(7);
  std::mt19937 random(11);
  for (int round = 0; round < 12; ++round) {
    const v1::JobConfig config = RandomConfig(GetParam(), &random);
    SCOPED_TRACE(config.ShortDebugString());
    const int64_t jobs = 1 + round % 3;
    const std::unique_ptr<Model> model = MakeModel(config);
    Parameters parameters(model->Specs(), jobs, at::TensorOptions().dtype(at::kDouble));
    parameters.flat().normal_(0.0, 0.6);
    parameters.RequireGradients();
    const Batch batch = RandomBatch(config, jobs);

    const std::unique_ptr<Network> network = model->Bind(parameters);
    const Network::Output output = network->Forward(batch);
    at::Tensor loss;
    for (int64_t j = 0; j < jobs; ++j) {
      const at::Tensor of_job = Loss(config, output.prediction[j], batch.target[j]);
      loss = j == 0 ? of_job : loss + of_job;
    }
    loss.backward();

    for (int64_t j = 0; j < jobs; ++j) {
      std::map<std::string, at::Tensor> of_job;
      for (const ParameterSpec& spec : parameters.specs()) {
        at::Tensor leaf = parameters.at(spec.name).detach()[j].clone();
        of_job[spec.name] = leaf.set_requires_grad(true);
      }
      const auto by_sample = [&](const at::Tensor& columns) {
        return BySample(columns, j, batch.length);
      };
      const RnnOracleOutput expected =
          RnnOracle(config, of_job, at::cat({by_sample(batch.input), by_sample(batch.rule)}, 2));
      Loss(config, expected.prediction, by_sample(batch.target)).backward();

      EXPECT_TRUE(
          at::allclose(by_sample(output.prediction), expected.prediction, 1e-10, kTolerance));
      ASSERT_EQ(output.p.defined(), expected.p.defined());
      if (expected.p.defined()) {
        EXPECT_TRUE(at::allclose(by_sample(output.p), expected.p, 1e-10, kTolerance));
        EXPECT_TRUE(at::allclose(by_sample(network->Route(batch)), expected.p, 1e-10, kTolerance));
      }
      for (const ParameterSpec& spec : parameters.specs()) {
        EXPECT_TRUE(at::allclose(parameters.at(spec.name).grad()[j], of_job[spec.name].grad(), 1e-8,
                                 kTolerance))
            << spec.name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    AllModels, RnnOracleTest,
    testing::Values(Case{v1::MONOLITHIC, v1::REGRESSION}, Case{v1::MONOLITHIC, v1::CLASSIFICATION},
                    Case{v1::MODULAR, v1::REGRESSION}, Case{v1::MODULAR, v1::CLASSIFICATION},
                    Case{v1::MODULAR_OP, v1::REGRESSION}, Case{v1::MODULAR_OP, v1::CLASSIFICATION},
                    Case{v1::GT_MODULAR, v1::REGRESSION},
                    Case{v1::GT_MODULAR, v1::CLASSIFICATION}));

std::set<std::string> Names(v1::ModelType type) {
  v1::JobConfig config;
  config.set_architecture(v1::RNN);
  config.set_model(type);
  config.set_target(v1::REGRESSION);
  config.set_rules(3);
  config.set_modules(type == v1::MONOLITHIC ? 1 : 3);
  config.set_input_dim(2);
  config.set_encoder_dim(4);
  config.set_model_dim(16);
  std::set<std::string> names;
  for (const ParameterSpec& spec : MakeModel(config)->Specs()) {
    if (spec.name.rfind("rnn.", 0) == 0) names.insert(spec.name);
  }
  return names;
}

TEST(RnnModel, HasTheParametersOfThePublishedCode) {
  using Set = std::set<std::string>;
  EXPECT_EQ(Names(v1::MONOLITHIC),
            (Set{"rnn.bias_hh", "rnn.bias_ih", "rnn.weight_hh", "rnn.weight_ih"}));
  EXPECT_EQ(Names(v1::MODULAR), (Set{"rnn.h2h.weight", "rnn.i2h.weight", "rnn.scorer.1.w"}));
  EXPECT_EQ(Names(v1::MODULAR_OP), (Set{"rnn.h2h.weight", "rnn.i2h.weight", "rnn.scorer.0.weight",
                                        "rnn.scorer.2.weight"}));
  EXPECT_EQ(Names(v1::GT_MODULAR), (Set{"rnn.h2h.weight", "rnn.i2h.weight"}));
}

}  // namespace
}  // namespace modlab
