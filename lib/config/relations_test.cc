#include "lib/config/relations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/config/config_fixture.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Relations, ModulesFitTheModel) {
  EXPECT_THAT(Error(Config("modules: 2", v1::MONOLITHIC)), HasSubstr("MONOLITHIC; allowed: 1"));
  EXPECT_THAT(Error(Config("modules: 4", v1::GT_MODULAR)), HasSubstr("allowed: 8 (= rules)"));
  EXPECT_THAT(Error(Config("modules: 1")), HasSubstr("allowed: 2..256"));
  EXPECT_THAT(Error(Config("architecture: RNN modules: 1", v1::MODULAR_OP)),
              HasSubstr("allowed: 2..256"));
  EXPECT_EQ(Canonical(Config("modules: 4")).modules(), 4);
}

TEST(Relations, ScorerIsForModularAlone) {
  EXPECT_EQ(Canonical(Config("scorer: SEPARATE")).scorer(), v1::SEPARATE);
  EXPECT_EQ(Error(Config("scorer: JOINT", v1::MODULAR_OP)),
            "scorer: JOINT is not allowed for model = MODULAR_OP; allowed: none (only for "
            "MODULAR)");
}

TEST(Relations, ModelDimIsDivisible) {
  EXPECT_EQ(Error(Config("model_dim: 130")),
            "model_dim: 130 is not divisible by modules = 8; allowed: a multiple of it, such as "
            "136");
  EXPECT_EQ(Canonical(Config("model_dim: 130", v1::MONOLITHIC)).model_dim(), 130);
  EXPECT_EQ(Error(Config("architecture: MHA model_dim: 136")),
            "model_dim: 136 is not divisible by modules * heads = 16; allowed: a multiple of it, "
            "such as 144");
  EXPECT_EQ(Error(Config("architecture: MHA model_dim: 136", v1::MONOLITHIC)),
            "model_dim: 136 is not divisible by modules * heads = 16; allowed: a multiple of it, "
            "such as 144");
  EXPECT_TRUE(Canonicalise(Config("architecture: MHA model_dim: 136 heads: 1")).ok());
  EXPECT_TRUE(Canonicalise(Config("architecture: RNN model_dim: 131")).ok());
  // The example lies within the limits of model_dim.
  EXPECT_THAT(Error(Config("architecture: MHA model_dim: 65535 heads: 9")),
              HasSubstr("such as 65520"));
  EXPECT_THAT(Error(Config("architecture: MHA rules: 256 heads: 512")),
              HasSubstr("modules * heads = 131072; allowed: none, for a multiple of it is above "
                        "65536"));
}

TEST(Relations, ModulesHaveHiddenUnits) {
  EXPECT_EQ(Error(Config("architecture: MHA rules: 16 encoder_dim: 1 model_dim: 16 heads: 1")),
            "encoder_dim: 1 with model_dim = 16, heads = 1 and modules = 16 leaves a module no "
            "hidden unit; allowed: a larger encoder_dim");
  EXPECT_EQ(Error(Config("architecture: RNN model_dim: 1")),
            "model_dim: 1 with encoder_dim = 32 and modules = 8 leaves a cell no hidden unit; "
            "allowed: a larger model_dim");
  EXPECT_TRUE(Canonicalise(Config("architecture: RNN model_dim: 1", v1::MONOLITHIC)).ok());
}

TEST(Relations, AnAbsurdModelIsRefused) {
  EXPECT_THAT(Error(Config("model_dim: 65536 encoder_dim: 8192")),
              StartsWith("model_dim: 65536 with encoder_dim = 8192 and modules = 8 makes about "
                         "6577192960 parameters"));
  EXPECT_TRUE(Canonicalise(Config("model_dim: 16384 encoder_dim: 8192")).ok());
  EXPECT_EQ(Error(Config("architecture: MHA model_dim: 16384 encoder_dim: 8192")),
            "model_dim: 16384 with encoder_dim = 8192, heads = 2 and modules = 8 makes about "
            "1023688704 parameters (A e (3 + 1/H) + (A + A/H + M e) I + 2 e^2 + n e for A = "
            "model_dim, e = encoder_dim, M = modules, H = heads, I = 4654 hidden units a module, "
            "n = 40 inputs); allowed: at most 1000000000");
  EXPECT_TRUE(Canonicalise(Config("architecture: MHA model_dim: 8192 encoder_dim: 8192")).ok());
  EXPECT_EQ(Error(Config("architecture: RNN model_dim: 16384")),
            "model_dim: 16384 with encoder_dim = 32 and modules = 8 makes about 1344488772 "
            "parameters (4 M h (e + h + 2) + h (h + q) + e (e + q + R) for h = 6366 units a cell, "
            "e = encoder_dim, M = modules, q = input_dim, R = rules); allowed: at most "
            "1000000000");
  EXPECT_THAT(Error(Config("architecture: RNN model_dim: 16384", v1::MONOLITHIC)),
              HasSubstr("about 1344932096 parameters"));
  EXPECT_TRUE(Canonicalise(Config("architecture: RNN model_dim: 8192", v1::MONOLITHIC)).ok());
}

TEST(Relations, AnAbsurdTaskIsRefused) {
  EXPECT_EQ(Error(Config("architecture: RNN rules: 256 order: 16 input_dim: 1024")),
            "input_dim: 1024 with order = 16 and rules = 256 makes a task of 4563402752 "
            "coefficients (rules (order + 1) input_dim^2); allowed: at most 1000000000");
  EXPECT_TRUE(Canonicalise(Config("architecture: RNN rules: 256 order: 1 input_dim: 1024")).ok());
}

TEST(Relations, HalvingTimesNeedAnInterval) {
  EXPECT_EQ(Error(Config("halve_learning_rate_times: 3")),
            "halve_learning_rate_times: 3 is not allowed for halve_learning_rate_every = 0; "
            "allowed: none (only where that is above 0)");
  EXPECT_TRUE(
      Canonicalise(Config("halve_learning_rate_every: 1 halve_learning_rate_times: 3")).ok());
}

TEST(Relations, PointsOfCurvesAreLimited) {
  EXPECT_TRUE(Canonicalise(Config("iterations: 99999 eval_interval: 1")).ok());
  EXPECT_EQ(Error(Config("iterations: 100000 eval_interval: 1")),
            "eval_interval: 1 makes 100001 evaluations in iterations = 100000; allowed: at most "
            "100000 evaluations");
}

}  // namespace
}  // namespace modlab
