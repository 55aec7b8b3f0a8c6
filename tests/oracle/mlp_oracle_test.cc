// lib/models against the oracle: predictions, p and every gradient, in double,
// at random sizes.

#include "tests/oracle/mlp_oracle.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "lib/config/job_config.h"
#include "lib/models/mlp_model.h"
#include "lib/models/parameters.h"
#include "lib/train/evaluation.h"

namespace modlab {
namespace {

constexpr double kTolerance = 1e-12;

struct Case {
  v1::ModelType model;
  v1::Scorer scorer;
  v1::Target target;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << v1::ModelType_Name(c.model) << " " << v1::Scorer_Name(c.scorer) << " "
       << v1::Target_Name(c.target);
}

class MlpOracleTest : public testing::TestWithParam<Case> {};

v1::JobConfig RandomConfig(const Case& c, std::mt19937* random) {
  const auto between = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(*random);
  };
  v1::JobConfig config;
  config.set_architecture(v1::MLP);
  config.set_model(c.model);
  config.set_target(c.target);
  if (c.scorer != v1::SCORER_UNSPECIFIED) config.set_scorer(c.scorer);
  config.set_rules(between(2, 6));
  config.set_encoder_dim(between(1, 9));
  int modules = 1;
  if (c.model != v1::MONOLITHIC) {
    modules = c.model == v1::GT_MODULAR ? config.rules() : between(2, 5);
    config.set_modules(modules);
  }
  config.set_model_dim(modules * between(1, 7));
  config.set_batch_size(between(1, 20));
  const auto canonical = Canonicalise(config);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  return *canonical;
}

MlpBatch RandomBatch(const v1::JobConfig& config, int64_t jobs) {
  const int64_t samples = config.batch_size();
  MlpBatch batch;
  batch.digits = at::randn({jobs, 2, samples}, at::kDouble);
  batch.rule = at::one_hot(at::randint(config.rules(), {jobs, samples}, at::kLong), config.rules())
                   .to(at::kDouble);
  batch.target = at::randn({jobs, samples}, at::kDouble);
  if (config.target() == v1::CLASSIFICATION) batch.target = batch.target.ge(0).to(at::kDouble);
  return batch;
}

TEST_P(MlpOracleTest, AgreesInOutputsAndAllGradients) {
  at::manual_seed(7);
  std::mt19937 random(11);
  for (int round = 0; round < 8; ++round) {
    const v1::JobConfig config = RandomConfig(GetParam(), &random);
    SCOPED_TRACE(config.ShortDebugString());
    const int64_t jobs = 1 + round % 3;
    const MlpModel model(config);
    Parameters parameters(model.Specs(), jobs, at::TensorOptions().dtype(at::kDouble));
    parameters.flat().normal_(0.0, 0.4);
    parameters.RequireGradients();
    const MlpBatch batch = RandomBatch(config, jobs);

    const MlpModel::Folded folded = model.Fold(parameters);
    const MlpModel::Output output = model.Forward(parameters, folded, batch);
    SampleLosses(config.target(), output.prediction, batch.target).mean(1).sum().backward();

    for (int64_t j = 0; j < jobs; ++j) {
      std::map<std::string, at::Tensor> of_job;
      for (const ParameterSpec& spec : parameters.specs()) {
        at::Tensor leaf = parameters.at(spec.name).detach()[j].clone();
        of_job[spec.name] = leaf.set_requires_grad(true);
      }
      const at::Tensor x = at::cat({batch.digits[j].t(), batch.rule[j]}, 1);
      const OracleOutput expected = MlpOracle(config, of_job, x);
      at::Tensor losses;  // as section 1 defines them
      if (config.target() == v1::REGRESSION) {
        losses = at::abs(expected.prediction - batch.target[j]);
      } else {
        const at::Tensor probability = at::sigmoid(expected.prediction);
        losses = -(batch.target[j] * at::log(probability) +
                   (1 - batch.target[j]) * at::log(1 - probability));
      }
      losses.mean().backward();

      EXPECT_TRUE(at::allclose(output.prediction[j], expected.prediction, 1e-10, kTolerance));
      ASSERT_EQ(output.p.defined(), expected.p.defined());
      if (expected.p.defined()) {
        EXPECT_TRUE(at::allclose(output.p[j], expected.p, 1e-10, kTolerance));
        EXPECT_TRUE(
            at::allclose(model.Route(parameters, folded, batch)[j], expected.p, 1e-10, kTolerance));
      }
      for (const ParameterSpec& spec : parameters.specs()) {
        // The oracle never touches what has no influence.
        const at::Tensor& gradient = of_job[spec.name].grad();
        const at::Tensor want = gradient.defined() ? gradient : at::zeros_like(of_job[spec.name]);
        EXPECT_TRUE(at::allclose(parameters.at(spec.name).grad()[j], want, 1e-8, kTolerance))
            << spec.name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    AllModels, MlpOracleTest,
    testing::Values(Case{v1::MONOLITHIC, v1::SCORER_UNSPECIFIED, v1::REGRESSION},
                    Case{v1::MONOLITHIC, v1::SCORER_UNSPECIFIED, v1::CLASSIFICATION},
                    Case{v1::MODULAR, v1::JOINT, v1::REGRESSION},
                    Case{v1::MODULAR, v1::JOINT, v1::CLASSIFICATION},
                    Case{v1::MODULAR, v1::SEPARATE, v1::REGRESSION},
                    Case{v1::MODULAR, v1::SEPARATE, v1::CLASSIFICATION},
                    Case{v1::MODULAR_OP, v1::SCORER_UNSPECIFIED, v1::REGRESSION},
                    Case{v1::MODULAR_OP, v1::SCORER_UNSPECIFIED, v1::CLASSIFICATION},
                    Case{v1::GT_MODULAR, v1::SCORER_UNSPECIFIED, v1::REGRESSION},
                    Case{v1::GT_MODULAR, v1::SCORER_UNSPECIFIED, v1::CLASSIFICATION}));

}  // namespace
}  // namespace modlab
