// RNNs of lib/models against the oracle, at random sizes.

#include "tests/oracle/rnn_oracle.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

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

// Names and shapes of the recurrent part at R = 3, e = 4, D = 16.
using Shapes = std::map<std::string, std::vector<int64_t>>;

Shapes CellShapes(v1::ModelType type) {
  v1::JobConfig config;
  config.set_architecture(v1::RNN);
  config.set_model(type);
  config.set_target(v1::REGRESSION);
  config.set_rules(3);
  config.set_encoder_dim(4);
  config.set_model_dim(16);
  const auto canonical = Canonicalise(config);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  Shapes shapes;
  for (const ParameterSpec& spec : MakeModel(*canonical)->Specs()) {
    if (spec.name.rfind("rnn.", 0) == 0) shapes[spec.name] = spec.shape;
  }
  return shapes;
}

TEST(RnnModel, HasTheParametersOfThePublishedCode) {
  EXPECT_EQ(CellShapes(v1::MONOLITHIC), (Shapes{{"rnn.weight_ih", {64, 4}},
                                                {"rnn.weight_hh", {64, 16}},
                                                {"rnn.bias_ih", {64}},
                                                {"rnn.bias_hh", {64}}}));
  // h = 9
  EXPECT_EQ(CellShapes(v1::MODULAR), (Shapes{{"rnn.i2h.weight", {108, 4}},
                                             {"rnn.h2h.weight", {108, 9}},
                                             {"rnn.scorer.1.w", {3, 72, 1}}}));
  EXPECT_EQ(CellShapes(v1::MODULAR_OP), (Shapes{{"rnn.i2h.weight", {108, 4}},
                                                {"rnn.h2h.weight", {108, 9}},
                                                {"rnn.scorer.0.weight", {9, 3}},
                                                {"rnn.scorer.2.weight", {3, 9}}}));
  EXPECT_EQ(CellShapes(v1::GT_MODULAR),
            (Shapes{{"rnn.i2h.weight", {108, 4}}, {"rnn.h2h.weight", {108, 9}}}));
}

}  // namespace
}  // namespace modlab
