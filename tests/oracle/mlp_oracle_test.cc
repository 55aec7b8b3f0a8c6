// MLPs of lib/models against the oracle, at random sizes.

#include "tests/oracle/mlp_oracle.h"

#include <gtest/gtest.h>

#include <random>

#include "lib/config/job_config.h"
#include "tests/oracle/oracle_test_case.h"

namespace modlab {
namespace {

class MlpOracleTest : public testing::TestWithParam<OracleCase> {};

v1::JobConfig RandomConfig(const OracleCase& c, std::mt19937* random) {
  v1::JobConfig config;
  config.set_architecture(v1::MLP);
  config.set_model(c.model);
  config.set_target(c.target);
  if (c.scorer != v1::SCORER_UNSPECIFIED) config.set_scorer(c.scorer);
  config.set_rules(RandomBetween(2, 6, random));
  config.set_encoder_dim(RandomBetween(1, 9, random));
  int modules = 1;
  if (c.model != v1::MONOLITHIC) {
    modules = c.model == v1::GT_MODULAR ? config.rules() : RandomBetween(2, 5, random);
    config.set_modules(modules);
  }
  config.set_model_dim(modules * RandomBetween(1, 7, random));
  // Models that are narrow and wide for their batches are rearranged in different ways.
  const bool wide = RandomBetween(0, 1, random) == 1;
  config.set_batch_size(RandomBetween(1, wide ? 3 : 60, random));
  const auto canonical = Canonicalise(config);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  return *canonical;
}

TEST_P(MlpOracleTest, AgreesInOutputsAndAllGradients) {
  at::manual_seed(7);
  std::mt19937 random(11);
  for (int round = 0; round < 16; ++round) {
    OracleSizes sizes;
    sizes.jobs = 1 + round % 3;
    sizes.samples = RandomBetween(1, 20, &random);
    sizes.inputs = 2;
    ExpectAgreement(RandomConfig(GetParam(), &random), MlpOracle, sizes, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(AllModels, MlpOracleTest,
                         testing::Values(OracleCase{v1::MONOLITHIC, v1::REGRESSION},
                                         OracleCase{v1::MONOLITHIC, v1::CLASSIFICATION},
                                         OracleCase{v1::MODULAR, v1::REGRESSION, v1::JOINT},
                                         OracleCase{v1::MODULAR, v1::CLASSIFICATION, v1::JOINT},
                                         OracleCase{v1::MODULAR, v1::REGRESSION, v1::SEPARATE},
                                         OracleCase{v1::MODULAR, v1::CLASSIFICATION, v1::SEPARATE},
                                         OracleCase{v1::MODULAR_OP, v1::REGRESSION},
                                         OracleCase{v1::MODULAR_OP, v1::CLASSIFICATION},
                                         OracleCase{v1::GT_MODULAR, v1::REGRESSION},
                                         OracleCase{v1::GT_MODULAR, v1::CLASSIFICATION}));

}  // namespace
}  // namespace modlab
