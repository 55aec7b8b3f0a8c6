// RNNs of lib/models against the oracle, at random sizes.

#include "tests/oracle/rnn_oracle.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "lib/config/job_config.h"
#include "lib/models/model.h"
#include "lib/models/parameters.h"
#include "tests/oracle/oracle_test_case.h"

namespace modlab {
namespace {

class RnnOracleTest : public testing::TestWithParam<OracleCase> {};

v1::JobConfig RandomConfig(const OracleCase& c, std::mt19937* random) {
  v1::JobConfig config;
  config.set_architecture(v1::RNN);
  config.set_model(c.model);
  config.set_target(c.target);
  config.set_rules(RandomBetween(2, 6, random));
  config.set_input_dim(RandomBetween(1, 5, random));
  config.set_encoder_dim(RandomBetween(1, 9, random));
  if (c.model == v1::MODULAR || c.model == v1::MODULAR_OP) {
    config.set_modules(RandomBetween(2, 5, random));
  }
  config.set_model_dim(RandomBetween(8, 24, random));
  const auto canonical = Canonicalise(config);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  return *canonical;
}

TEST_P(RnnOracleTest, AgreesInOutputsAndAllGradients) {
  at::manual_seed(7);
  std::mt19937 random(11);
  for (int round = 0; round < 12; ++round) {
    const v1::JobConfig config = RandomConfig(GetParam(), &random);
    OracleSizes sizes;
    sizes.jobs = 1 + round % 3;
    sizes.length = 1 + round % 8;
    sizes.samples = RandomBetween(1, 35, &random);
    sizes.inputs = config.input_dim();
    if (config.target() == v1::REGRESSION) sizes.outputs = config.input_dim();
    ExpectAgreement(config, RnnOracle, sizes, 1e-11);
  }
}

INSTANTIATE_TEST_SUITE_P(AllModels, RnnOracleTest,
                         testing::Values(OracleCase{v1::MONOLITHIC, v1::REGRESSION},
                                         OracleCase{v1::MONOLITHIC, v1::CLASSIFICATION},
                                         OracleCase{v1::MODULAR, v1::REGRESSION},
                                         OracleCase{v1::MODULAR, v1::CLASSIFICATION},
                                         OracleCase{v1::MODULAR_OP, v1::REGRESSION},
                                         OracleCase{v1::MODULAR_OP, v1::CLASSIFICATION},
                                         OracleCase{v1::GT_MODULAR, v1::REGRESSION},
                                         OracleCase{v1::GT_MODULAR, v1::CLASSIFICATION}));

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
