#include "lib/config/job_config.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using v1::JobConfig;

// A config of the required fields and what `text` sets besides.
JobConfig Config(const std::string& text = "", v1::ModelType model = v1::MODULAR) {
  JobConfig config;
  config.set_architecture(v1::MLP);
  config.set_target(v1::REGRESSION);
  config.set_rules(8);
  config.set_model(model);
  JobConfig more;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &more)) << text;
  config.MergeFrom(more);
  return config;
}

JobConfig Canonical(const JobConfig& config) {
  const auto canonical = Canonicalise(config);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  return canonical.ok() ? *canonical : JobConfig();
}

std::string Error(const JobConfig& config) {
  const absl::Status status = Canonicalise(config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << config.ShortDebugString();
  return std::string(status.message());
}

TEST(Canonicalise, FillsEveryDefault) {
  JobConfig expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(architecture: MLP target: REGRESSION rules: 8 data_seed: 0
         model: MODULAR modules: 8 encoder_dim: 32 model_dim: 128 scorer: JOINT model_seed: 0
         iterations: 100000 batch_size: 256 learning_rate: 1e-4
         eval_interval: 5000 eval_batches: 10
         final_batches: 100 final_batch_size: 1000
         activation_batches: 1000 adaptation_draws: 100 adaptation_batches: 10)",
      &expected));
  const JobConfig canonical = Canonical(Config());
  EXPECT_EQ(canonical.DebugString(), expected.DebugString());
  for (const std::string& field : JobFieldNames()) EXPECT_NE(JobFieldWord(canonical, field), "");
}

TEST(Canonicalise, TwiceIsOnce) {
  for (const auto model : {v1::MONOLITHIC, v1::MODULAR, v1::MODULAR_OP, v1::GT_MODULAR}) {
    const JobConfig once = Canonical(Config("", model));
    EXPECT_EQ(Canonical(once).SerializeAsString(), once.SerializeAsString());
    EXPECT_EQ(once.modules(), model == v1::MONOLITHIC ? 1 : 8);
    EXPECT_EQ(once.scorer(), model == v1::MODULAR ? v1::JOINT : v1::SCORER_UNSPECIFIED);
  }
}

TEST(Canonicalise, ExplicitUnspecifiedIsUnset) {
  EXPECT_EQ(Canonical(Config("scorer: SCORER_UNSPECIFIED", v1::MONOLITHIC)).SerializeAsString(),
            Canonical(Config("", v1::MONOLITHIC)).SerializeAsString());
  EXPECT_EQ(Canonical(Config("scorer: SCORER_UNSPECIFIED")).scorer(), v1::JOINT);
}

TEST(Canonicalise, RequiredFieldsMustBeSet) {
  JobConfig config = Config();
  config.clear_target();
  EXPECT_EQ(Error(config), "target is required; allowed: REGRESSION, CLASSIFICATION");
  config = Config();
  config.clear_rules();
  EXPECT_EQ(Error(config), "rules is required");
  config = Config();
  config.set_model(v1::MODEL_TYPE_UNSPECIFIED);
  EXPECT_THAT(Error(config), StartsWith("model is required"));
  EXPECT_THAT(Error(JobConfig()), StartsWith("architecture is required"));
}

TEST(Canonicalise, OnlyMlpIsAvailable) {
  JobConfig config = Config();
  config.set_architecture(v1::MHA);
  EXPECT_EQ(Error(config), "architecture: MHA is not available in this version; allowed: MLP");
  config.set_architecture(v1::RNN);
  EXPECT_THAT(Error(config), HasSubstr("RNN"));
  config.set_architecture(static_cast<v1::Architecture>(77));
  EXPECT_EQ(Error(config), "architecture: 77 is not a value that this version knows");
}

// Every number at its limits, and just outside.
TEST(Canonicalise, NumbersHaveLimits) {
  struct Case {
    const char* field;
    const char* min;
    const char* max;
    const char* below;
    const char* above;
    const char* allowed;
  };
  const std::vector<Case> cases = {
      {"rules", "2", "256", "1", "257", "2..256"},
      {"rules", "2", "256", "0", "2147483647", "2..256"},
      {"data_seed", "0", "4294967295", "-1", "4294967296", "0..4294967295"},
      {"model_seed", "0", "4294967295", "-1", "9223372036854775807", "0..4294967295"},
      {"modules", "2", "256", "0", "257", "1..256"},
      {"encoder_dim", "1", "8192", "0", "8193", "1..8192"},
      {"model_dim", "8", "16384", "0", "65537", "1..65536"},
      {"iterations", "1", "100000000", "0", "100000001", "1..100000000"},
      {"batch_size", "1", "65536", "-5", "65537", "1..65536"},
      {"eval_interval", "2", "100000000", "0", "100000001", "1..100000000"},
      {"eval_batches", "1", "10000", "0", "10001", "1..10000"},
      {"final_batches", "1", "100000", "0", "100001", "1..100000"},
      {"final_batch_size", "1", "65536", "0", "65537", "1..65536"},
      {"activation_batches", "1", "100000", "0", "100001", "1..100000"},
      {"adaptation_draws", "1", "10000", "0", "10001", "1..10000"},
      {"adaptation_batches", "1", "10000", "0", "10001", "1..10000"},
      {"learning_rate", "1e-300", "10", "0", "10.0001", "above 0, at most 10"},
      {"learning_rate", "1e-300", "10", "-1e-4", "1e999", "above 0, at most 10"},
  };
  for (const Case& c : cases) {
    for (const std::string word : {c.min, c.max}) {
      JobConfig config = Config("model_dim: 256");
      ASSERT_TRUE(SetJobField(c.field, word, &config).ok());
      EXPECT_TRUE(Canonicalise(config).ok()) << c.field << "=" << word;
    }
    for (const std::string word : {c.below, c.above}) {
      JobConfig config = Config("model_dim: 256");
      ASSERT_TRUE(SetJobField(c.field, word, &config).ok());
      EXPECT_EQ(Error(config), std::string(c.field) + ": " + JobFieldWord(config, c.field) +
                                   " is not allowed; allowed: " + c.allowed);
    }
  }
  JobConfig config = Config();
  config.set_learning_rate(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(Error(config), StartsWith("learning_rate: nan is not allowed"));
}

TEST(Canonicalise, ModulesFitTheModel) {
  EXPECT_THAT(Error(Config("modules: 2", v1::MONOLITHIC)), HasSubstr("MONOLITHIC; allowed: 1"));
  EXPECT_THAT(Error(Config("modules: 4", v1::GT_MODULAR)), HasSubstr("allowed: 8 (= rules)"));
  EXPECT_THAT(Error(Config("modules: 1")), HasSubstr("allowed: 2..256"));
  EXPECT_THAT(Error(Config("modules: 1", v1::MODULAR_OP)), HasSubstr("allowed: 2..256"));
  EXPECT_EQ(Canonical(Config("modules: 4")).modules(), 4);
}

TEST(Canonicalise, ScorerIsForModularAlone) {
  EXPECT_EQ(Canonical(Config("scorer: SEPARATE")).scorer(), v1::SEPARATE);
  EXPECT_EQ(Error(Config("scorer: JOINT", v1::MODULAR_OP)),
            "scorer: JOINT is not allowed for model = MODULAR_OP; allowed: none (only for "
            "MODULAR)");
}

TEST(Canonicalise, ModelDimIsDivisibleByModules) {
  EXPECT_EQ(Error(Config("model_dim: 130")),
            "model_dim: 130 is not divisible by modules = 8; allowed: a multiple of it, such as "
            "136");
  EXPECT_EQ(Canonical(Config("model_dim: 130", v1::MONOLITHIC)).model_dim(), 130);
}

TEST(Canonicalise, RefusesAnAbsurdModel) {
  EXPECT_THAT(Error(Config("model_dim: 65536 encoder_dim: 8192")),
              StartsWith("model_dim: 65536 with encoder_dim = 8192 and modules = 8 makes about "
                         "6577192960 parameters"));
  EXPECT_TRUE(Canonicalise(Config("model_dim: 16384 encoder_dim: 8192")).ok());
}

TEST(Canonicalise, LimitsThePointsOfCurves) {
  EXPECT_TRUE(Canonicalise(Config("iterations: 99999 eval_interval: 1")).ok());
  EXPECT_EQ(Error(Config("iterations: 100000 eval_interval: 1")),
            "eval_interval: 1 makes 100001 evaluations in iterations = 100000; allowed: at most "
            "100000 evaluations");
}

TEST(Canonicalise, RefusesFieldsOfANewerVersion) {
  JobConfig config = Config();
  config.GetReflection()->MutableUnknownFields(&config)->AddVarint(4000, 1);
  EXPECT_EQ(Error(config), "config: field number 4000 is not known to this version");
}

// These values are in users' stores: none may ever change. Each is the SHA-256
// of the text beside it.
TEST(JobKey, NeverChanges) {
  // 1=1 2=1 3=8 5=2
  EXPECT_EQ(JobKey(Canonical(Config())), "ec986ff6817e8e58f82dd0e2560b7ceb");
  // 1=1 2=1 3=2 5=4
  EXPECT_EQ(JobKey(Canonical(Config("rules: 2", v1::GT_MODULAR))),
            "e1ae3c5a073c17c6be1c1db10ef85906");
  // 1=1 2=1 3=8 5=2 6=4 9=2
  EXPECT_EQ(JobKey(Canonical(Config("modules: 4 scorer: SEPARATE"))),
            "a152a5eaae2a138a1da435c3b43c55f3");
  // 1=1 2=2 3=4 4=4294967295 5=1 7=64 8=256 10=7 11=2000 12=32 13=0.001 14=100 15=1 ... 20=6
  EXPECT_EQ(JobKey(Canonical(Config(
                "target: CLASSIFICATION rules: 4 data_seed: 4294967295 model: MONOLITHIC "
                "encoder_dim: 64 model_dim: 256 model_seed: 7 iterations: 2000 batch_size: 32 "
                "learning_rate: 0.001 eval_interval: 100 eval_batches: 1 final_batches: 2 "
                "final_batch_size: 3 activation_batches: 4 adaptation_draws: 5 "
                "adaptation_batches: 6"))),
            "dd8c721831e757d9d63a198389d3c378");
}

TEST(JobKey, WrittenDefaultsAreTheSameJob) {
  EXPECT_EQ(JobKey(Canonical(Config("modules: 8 encoder_dim: 32 learning_rate: 0.0001"))),
            JobKey(Canonical(Config())));
}

// One variation of every field, none of them a default.
std::vector<JobConfig> Variations() {
  std::vector<JobConfig> configs;
  for (const char* text :
       {"target: CLASSIFICATION", "rules: 4", "data_seed: 1", "model: MODULAR_OP", "modules: 4",
        "encoder_dim: 33", "model_dim: 256", "scorer: SEPARATE", "model_seed: 1", "iterations: 9",
        "batch_size: 9", "learning_rate: 0.5", "eval_interval: 9", "eval_batches: 9",
        "final_batches: 9", "final_batch_size: 9", "activation_batches: 9", "adaptation_draws: 9",
        "adaptation_batches: 9"}) {
    configs.push_back(Canonical(Config(text)));
  }
  return configs;
}

TEST(JobKey, EveryFieldCounts) {
  std::vector<std::string> keys = {JobKey(Canonical(Config()))};
  for (const JobConfig& config : Variations()) {
    EXPECT_THAT(keys, testing::Not(testing::Contains(JobKey(config))));
    keys.push_back(JobKey(config));
  }
}

TEST(ShapeKey, IgnoresSeedsAndLearningRateAlone) {
  const std::string key = ShapeKey(Canonical(Config()));
  EXPECT_EQ(ShapeKey(Canonical(Config("data_seed: 3 model_seed: 9 learning_rate: 0.1"))), key);
  int different = 0;
  for (const JobConfig& config : Variations()) different += ShapeKey(config) != key ? 1 : 0;
  EXPECT_EQ(different, 19 - 3);
}

TEST(ShapeKey, IsReadableAndShort) {
  EXPECT_EQ(ShapeKey(Canonical(Config())),
            "mlp-regression-modular-r8-m8-e32-d128-b256-ec986ff6817e");
  const JobConfig longest =
      Canonical(Config("target: CLASSIFICATION rules: 256 encoder_dim: 8192 model_dim: 16384 "
                       "batch_size: 65536",
                       v1::GT_MODULAR));
  EXPECT_LE(ShapeKey(longest).size(), 96u);
}

TEST(EvaluationIterations, AreEveryIntervalAndTheLast) {
  EXPECT_THAT(EvaluationIterations(Canonical(Config("iterations: 10 eval_interval: 5"))),
              ElementsAre(0, 5, 10));
  EXPECT_THAT(EvaluationIterations(Canonical(Config("iterations: 11 eval_interval: 5"))),
              ElementsAre(0, 5, 10, 11));
  EXPECT_THAT(EvaluationIterations(Canonical(Config("iterations: 3 eval_interval: 5"))),
              ElementsAre(0, 3));
}

}  // namespace
}  // namespace modlab
