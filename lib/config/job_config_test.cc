#include "lib/config/job_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "lib/config/config_fixture.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using v1::JobConfig;

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
  // 1=2 2=1 3=8 5=2
  EXPECT_EQ(JobKey(Canonical(Config("architecture: MHA"))), "d6658d30baee5cd90af58a4ebfb18a01");
  // 1=3 2=1 3=8 5=2
  EXPECT_EQ(JobKey(Canonical(Config("architecture: RNN"))), "4757816b4f5c23f0c83d79a7179ed468");
  // 1=2 2=2 3=4 5=1 21=2 22=20 25=4 26=50000 27=2 28=0 29=50
  EXPECT_EQ(JobKey(Canonical(Config(
                "architecture: MHA target: CLASSIFICATION rules: 4 model: MONOLITHIC "
                "search_version: 2 sequence_length: 20 heads: 4 halve_learning_rate_every: 50000 "
                "halve_learning_rate_times: 2 validation_batches: 0 activation_batch_size: 50"))),
            "f47aecea87eb66c218f71fa34dc2c827");
  // 1=3 2=2 3=4 5=4 11=100000 22=20 23=1 24=2 29=1000
  EXPECT_EQ(
      JobKey(Canonical(Config("architecture: RNN target: CLASSIFICATION rules: 4 model: GT_MODULAR "
                              "iterations: 100000 sequence_length: 20 input_dim: 1 order: 2 "
                              "activation_batch_size: 1000"))),
      "88f2be5f494c4ce3ffd5299e18eb170a");
}

// A canonical form of a version that had fewer fields.
TEST(JobKey, FieldsThatCameLaterCountAsDefaults) {
  JobConfig old = Canonical(Config());
  old.clear_validation_batches();
  old.clear_halve_learning_rate_every();
  EXPECT_EQ(JobKey(old), JobKey(Canonical(Config())));
}

TEST(JobKey, WrittenDefaultsAreTheSameJob) {
  EXPECT_EQ(JobKey(Canonical(Config("modules: 8 encoder_dim: 32 learning_rate: 0.0001"))),
            JobKey(Canonical(Config())));
  EXPECT_EQ(JobKey(Canonical(Config("architecture: MHA heads: 16 search_version: 1 "
                                    "sequence_length: 10 iterations: 500000",
                                    v1::MONOLITHIC))),
            JobKey(Canonical(Config("architecture: MHA", v1::MONOLITHIC))));
}

// One variation of every field but the architecture, each of an architecture that
// has it, none of them a default.
std::vector<JobConfig> Variations(const std::string& architecture) {
  std::vector<std::string> texts = {"target: CLASSIFICATION",
                                    "rules: 4",
                                    "data_seed: 1",
                                    "model: MODULAR_OP",
                                    "modules: 4",
                                    "encoder_dim: 33",
                                    "model_dim: 256",
                                    "model_seed: 1",
                                    "iterations: 9",
                                    "batch_size: 9",
                                    "learning_rate: 0.5",
                                    "halve_learning_rate_every: 9",
                                    "halve_learning_rate_every: 9 halve_learning_rate_times: 9",
                                    "eval_interval: 9",
                                    "eval_batches: 9",
                                    "validation_batches: 9",
                                    "final_batches: 9",
                                    "final_batch_size: 9",
                                    "activation_batches: 9",
                                    "activation_batch_size: 9",
                                    "adaptation_draws: 9",
                                    "adaptation_batches: 9"};
  if (architecture == "MLP") texts.emplace_back("scorer: SEPARATE");
  if (architecture == "MHA") {
    texts.insert(texts.end(), {"search_version: 2", "sequence_length: 9", "heads: 4"});
  }
  if (architecture == "RNN") {
    texts.insert(texts.end(), {"sequence_length: 9", "input_dim: 9", "order: 9"});
  }
  std::vector<JobConfig> configs;
  for (const std::string& text : texts) {
    configs.push_back(Canonical(Config("architecture: " + architecture + " " + text)));
  }
  return configs;
}

TEST(JobKey, EveryFieldCounts) {
  std::set<std::string> keys;
  size_t configs = 0;
  for (const char* architecture : {"MLP", "MHA", "RNN"}) {
    keys.insert(JobKey(Canonical(Config(std::string("architecture: ") + architecture))));
    ++configs;
    for (const JobConfig& config : Variations(architecture)) {
      keys.insert(JobKey(config));
      ++configs;
    }
  }
  EXPECT_EQ(keys.size(), configs);
}

TEST(JobKey, VariationsCoverEveryField) {
  std::set<std::string> varied = {"architecture"};
  for (const char* architecture : {"MLP", "MHA", "RNN"}) {
    const JobConfig plain = Canonical(Config(std::string("architecture: ") + architecture));
    for (const JobConfig& config : Variations(architecture)) {
      for (const std::string& field : JobFieldNames()) {
        if (JobFieldWord(config, field) != JobFieldWord(plain, field)) varied.insert(field);
      }
    }
  }
  EXPECT_EQ(varied.size(), JobFieldNames().size());
}

TEST(ShapeKey, IgnoresSeedsAndLearningRateAlone) {
  for (const std::string architecture : {"MLP", "MHA", "RNN"}) {
    const std::string base = "architecture: " + architecture;
    const std::string key = ShapeKey(Canonical(Config(base)));
    EXPECT_EQ(ShapeKey(Canonical(Config(base + " data_seed: 3 model_seed: 9 learning_rate: 0.1"))),
              key);
    const std::vector<JobConfig> variations = Variations(architecture);
    size_t different = 0;
    for (const JobConfig& config : variations) different += ShapeKey(config) != key ? 1 : 0;
    EXPECT_EQ(different, variations.size() - 3);
  }
}

TEST(PairingKey, LeavesOutTheNamedFields) {
  const JobConfig config = Canonical(Config("data_seed: 7 encoder_dim: 64"));
  EXPECT_EQ(PairingKey(config, {}), "1=1\n2=1\n3=8\n4=7\n5=2\n7=64\n");
  EXPECT_EQ(PairingKey(config, {"model", "data_seed"}), "1=1\n2=1\n3=8\n7=64\n");
}

TEST(PairingKey, FieldsThatFollowFromTheModelGoWithIt) {
  for (const std::string text : {"", "scorer: JOINT", "architecture: MHA", "architecture: RNN",
                                 "architecture: MHA modules: 8 heads: 2 search_version: 2"}) {
    JobConfig monolithic = Config(text, v1::MONOLITHIC);
    monolithic.clear_scorer();
    monolithic.clear_modules();
    monolithic.clear_heads();
    EXPECT_EQ(PairingKey(Canonical(Config(text)), {"model"}),
              PairingKey(Canonical(monolithic), {"model"}));
  }
  // Chosen ones stay.
  EXPECT_NE(PairingKey(Canonical(Config("modules: 4")), {"model"}),
            PairingKey(Canonical(Config("", v1::MONOLITHIC)), {"model"}));
}

TEST(PairingKey, TheDefaultNumberOfHalvingsGoesWithItsInterval) {
  EXPECT_EQ(
      PairingKey(Canonical(Config("halve_learning_rate_every: 9")), {"halve_learning_rate_every"}),
      PairingKey(Canonical(Config()), {"halve_learning_rate_every"}));
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

TEST(EvaluationLengths, FollowTheTrainedOne) {
  EXPECT_THAT(EvaluationLengths(Canonical(Config())), IsEmpty());
  for (const std::string architecture : {"architecture: MHA", "architecture: RNN"}) {
    EXPECT_THAT(EvaluationLengths(Canonical(Config(architecture))), ElementsAre(3, 5, 10, 20, 30));
    const auto lengths =
        EvaluationLengths(Canonical(Config(architecture + " sequence_length: 20")));
    EXPECT_THAT(lengths, ElementsAre(10, 20, 30, 40, 50));
    // The reported ones are among them.
    EXPECT_THAT(lengths, testing::IsSupersetOf({kIdLength, kOodLength}));
  }
}

}  // namespace
}  // namespace modlab
