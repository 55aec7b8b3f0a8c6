// MHAs of lib/models against the oracle, at random sizes.

#include "tests/oracle/mha_oracle.h"

#include <gtest/gtest.h>

#include <random>

#include "lib/config/job_config.h"
#include "tests/oracle/oracle_test_case.h"

namespace modlab {
namespace {

class MhaOracleTest : public testing::TestWithParam<OracleCase> {};

v1::JobConfig RandomConfig(const OracleCase& c, std::mt19937* random) {
  v1::JobConfig config;
  config.set_architecture(v1::MHA);
  config.set_model(c.model);
  config.set_target(c.target);
  config.set_search_version(RandomBetween(1, 2, random));
  config.set_rules(RandomBetween(2, 4, random));
  config.set_encoder_dim(RandomBetween(2, 9, random));
  config.set_heads(RandomBetween(1, 3, random));
  int modules = 1;
  if (c.model != v1::MONOLITHIC) {
    modules = c.model == v1::GT_MODULAR ? config.rules() : RandomBetween(2, 5, random);
    config.set_modules(modules);
  }
  config.set_model_dim(modules * config.heads() * RandomBetween(1, 5, random));
  const auto canonical = Canonicalise(config);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  return *canonical;
}

TEST_P(MhaOracleTest, AgreesInOutputsAndAllGradients) {
  at::manual_seed(7);
  std::mt19937 random(13);
  for (int round = 0; round < 10; ++round) {
    const v1::JobConfig config = RandomConfig(GetParam(), &random);
    OracleSizes sizes;
    sizes.jobs = 1 + round % 3;
    sizes.length = RandomBetween(2, 12, &random);
    sizes.samples = RandomBetween(1, 20, &random);
    sizes.inputs = (config.search_version() == 1 ? 4 : 6) * config.rules();
    ExpectAgreement(config, MhaOracle, sizes, 1e-11);
  }
}

INSTANTIATE_TEST_SUITE_P(AllModels, MhaOracleTest,
                         testing::Values(OracleCase{v1::MONOLITHIC, v1::REGRESSION},
                                         OracleCase{v1::MONOLITHIC, v1::CLASSIFICATION},
                                         OracleCase{v1::MODULAR, v1::REGRESSION},
                                         OracleCase{v1::MODULAR, v1::CLASSIFICATION},
                                         OracleCase{v1::MODULAR_OP, v1::REGRESSION},
                                         OracleCase{v1::MODULAR_OP, v1::CLASSIFICATION},
                                         OracleCase{v1::GT_MODULAR, v1::REGRESSION},
                                         OracleCase{v1::GT_MODULAR, v1::CLASSIFICATION}));

}  // namespace
}  // namespace modlab
