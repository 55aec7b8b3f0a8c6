#include "lib/config/fields.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/config/config_fixture.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::StartsWith;
using testing::UnorderedElementsAre;
using v1::JobConfig;

constexpr v1::Architecture kArchitectures[] = {v1::MLP, v1::MHA, v1::RNN};
constexpr v1::ModelType kModels[] = {v1::MONOLITHIC, v1::MODULAR, v1::MODULAR_OP, v1::GT_MODULAR};

// The canonical form of the required fields alone, in the proto's text format.
std::string Defaults(v1::Architecture architecture) {
  JobConfig config = Config();
  config.set_architecture(architecture);
  return Canonical(config).DebugString();
}

std::string Parsed(const std::string& text) {
  JobConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config.DebugString();
}

TEST(Fields, EveryArchitectureHasItsDefaults) {
  const std::string shared =
      R"(target: REGRESSION rules: 8 data_seed: 0
         model: MODULAR modules: 8 encoder_dim: 32 model_dim: 128 model_seed: 0
         batch_size: 256 learning_rate: 1e-4 halve_learning_rate_every: 0
         eval_interval: 5000 eval_batches: 10 validation_batches: 10
         final_batches: 100 final_batch_size: 1000
         activation_batches: 1000 adaptation_draws: 100 adaptation_batches: 10 )";
  EXPECT_EQ(Defaults(v1::MLP),
            Parsed(shared + "architecture: MLP scorer: JOINT iterations: 100000"));
  EXPECT_EQ(Defaults(v1::MHA),
            Parsed(shared + "architecture: MHA iterations: 500000 search_version: 1 "
                            "sequence_length: 10 heads: 2"));
  EXPECT_EQ(Defaults(v1::RNN),
            Parsed(shared + "architecture: RNN iterations: 500000 sequence_length: 10 "
                            "input_dim: 32 order: 1 activation_batch_size: 100"));
}

TEST(Fields, SomeDefaultsFollowFromOtherFields) {
  for (const auto model : kModels) {
    const bool monolithic = model == v1::MONOLITHIC;
    const JobConfig mlp = Canonical(Config("", model));
    EXPECT_EQ(mlp.modules(), monolithic ? 1 : 8);
    EXPECT_EQ(mlp.scorer(), model == v1::MODULAR ? v1::JOINT : v1::SCORER_UNSPECIFIED);
    EXPECT_EQ(mlp.has_scorer(), model == v1::MODULAR);
    EXPECT_EQ(Canonical(Config("architecture: MHA", model)).heads(), monolithic ? 16 : 2);
  }
  EXPECT_EQ(Canonical(Config("halve_learning_rate_every: 50000")).halve_learning_rate_times(), 3);
  EXPECT_FALSE(Canonical(Config("halve_learning_rate_every: 0")).has_halve_learning_rate_times());
}

TEST(Fields, TwiceIsOnce) {
  for (const auto architecture : kArchitectures) {
    for (const auto model : kModels) {
      JobConfig config = Config("halve_learning_rate_every: 9", model);
      config.set_architecture(architecture);
      const JobConfig once = Canonical(config);
      EXPECT_EQ(Canonical(once).SerializeAsString(), once.SerializeAsString());
    }
  }
}

TEST(Fields, ExplicitUnspecifiedIsUnset) {
  EXPECT_EQ(Canonical(Config("scorer: SCORER_UNSPECIFIED", v1::MONOLITHIC)).SerializeAsString(),
            Canonical(Config("", v1::MONOLITHIC)).SerializeAsString());
  EXPECT_EQ(Canonical(Config("scorer: SCORER_UNSPECIFIED")).scorer(), v1::JOINT);
  EXPECT_FALSE(Canonical(Config("architecture: MHA scorer: SCORER_UNSPECIFIED")).has_scorer());
}

TEST(Fields, RequiredOnesMustBeSet) {
  JobConfig config = Config();
  config.clear_target();
  EXPECT_EQ(Error(config), "target is required; allowed: REGRESSION, CLASSIFICATION");
  config = Config();
  config.clear_rules();
  EXPECT_EQ(Error(config), "rules is required");
  config = Config();
  config.set_model(v1::MODEL_TYPE_UNSPECIFIED);
  EXPECT_THAT(Error(config), StartsWith("model is required"));
  EXPECT_EQ(Error(JobConfig()), "architecture is required; allowed: MLP, MHA, RNN");
}

TEST(Fields, EnumsHaveValuesOfThisVersion) {
  JobConfig config = Config();
  config.set_architecture(static_cast<v1::Architecture>(77));
  EXPECT_EQ(Error(config), "architecture: 77 is not a value that this version knows");
}

struct Case {
  const char* field;
  const char* min;
  const char* max;
  const char* below;
  const char* above;
  const char* allowed;
};

// Every number at its limits, and just outside. `base` leaves room for them.
void CheckCases(const std::string& base, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    for (const std::string word : {c.min, c.max}) {
      JobConfig config = Config(base);
      ASSERT_TRUE(SetJobField(c.field, word, &config).ok());
      EXPECT_TRUE(Canonicalise(config).ok()) << c.field << "=" << word;
    }
    for (const std::string word : {c.below, c.above}) {
      JobConfig config = Config(base);
      ASSERT_TRUE(SetJobField(c.field, word, &config).ok());
      EXPECT_EQ(Error(config), absl::StrCat(c.field, ": ", JobFieldWord(config, c.field),
                                            " is not allowed; allowed: ", c.allowed));
    }
  }
}

TEST(Fields, NumbersHaveLimits) {
  CheckCases("model_dim: 256",
             {{"rules", "2", "256", "1", "257", "2..256"},
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
              {"validation_batches", "0", "10000", "-1", "10001", "0..10000"},
              {"halve_learning_rate_every", "0", "100000000", "-1", "100000001", "0..100000000"},
              {"final_batches", "1", "100000", "0", "100001", "1..100000"},
              {"final_batch_size", "1", "65536", "0", "65537", "1..65536"},
              {"activation_batches", "1", "100000", "0", "100001", "1..100000"},
              {"activation_batch_size", "1", "65536", "0", "65537", "1..65536"},
              {"adaptation_draws", "1", "10000", "0", "10001", "1..10000"},
              {"adaptation_batches", "1", "10000", "0", "10001", "1..10000"},
              {"learning_rate", "1e-300", "10", "0", "10.0001", "above 0, at most 10"},
              {"learning_rate", "1e-300", "10", "-1e-4", "1e999", "above 0, at most 10"}});
  CheckCases("halve_learning_rate_every: 1000",
             {{"halve_learning_rate_times", "1", "64", "0", "65", "1..64"}});
  CheckCases("architecture: MHA model_dim: 4096",
             {{"search_version", "1", "2", "0", "3", "1..2"},
              {"sequence_length", "2", "200", "1", "201", "2..200"},
              {"heads", "1", "512", "0", "513", "1..512"},
              {"iterations", "1", "100000000", "0", "100000001", "1..100000000"},
              {"activation_batch_size", "1", "65536", "0", "65537", "1..65536"}});
  CheckCases("architecture: RNN",
             {{"sequence_length", "1", "200", "0", "201", "1..200"},
              {"input_dim", "1", "1024", "0", "1025", "1..1024"},
              {"order", "1", "16", "0", "17", "1..16"},
              {"iterations", "1", "100000000", "0", "100000001", "1..100000000"},
              {"activation_batch_size", "1", "65536", "0", "65537", "1..65536"}});
  JobConfig config = Config();
  config.set_learning_rate(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(Error(config), StartsWith("learning_rate: nan is not allowed"));
}

TEST(Fields, BelongToTheirArchitectures) {
  EXPECT_EQ(Error(Config("search_version: 1")),
            "search_version: 1 is not allowed for architecture = MLP; allowed: none (only for "
            "MHA)");
  EXPECT_EQ(Error(Config("architecture: RNN scorer: JOINT")),
            "scorer: JOINT is not allowed for architecture = RNN; allowed: none (only for MLP)");
  EXPECT_EQ(Error(Config("sequence_length: 10")),
            "sequence_length: 10 is not allowed for architecture = MLP; allowed: none (only for "
            "MHA and RNN)");
  const std::vector<std::vector<std::string>> strangers = {
      {"MLP", "search_version", "sequence_length", "input_dim", "order", "heads"},
      {"MHA", "input_dim", "order"},
      {"RNN", "search_version", "heads"}};
  for (const auto& words : strangers) {
    for (size_t i = 1; i < words.size(); ++i) {
      EXPECT_THAT(Error(Config(absl::StrCat("architecture: ", words[0], " ", words[i], ": 1"))),
                  StartsWith(absl::StrCat(words[i], ": 1 is not allowed for architecture = ",
                                          words[0], "; allowed: none (only for ")));
    }
  }
}

int NumberOf(const char* field) {
  return JobConfig::descriptor()->FindFieldByName(field)->number();
}

TEST(Fields, KnowTheirDefaults) {
  const JobConfig config =
      Canonical(Config("architecture: MHA heads: 2 model_dim: 64 halve_learning_rate_every: 5"));
  for (const char* field : {"heads", "modules", "scorer", "halve_learning_rate_times",
                            "activation_batch_size", "iterations"}) {
    EXPECT_TRUE(IsDefault(ConfigNumbers(config), NumberOf(field))) << field;
  }
  for (const char* field : {"architecture", "rules", "model_dim", "halve_learning_rate_every"}) {
    EXPECT_FALSE(IsDefault(ConfigNumbers(config), NumberOf(field))) << field;
  }
}

TEST(Fields, KnowWhatFollowsFromOthers) {
  EXPECT_THAT(FollowingFields({"model"}), UnorderedElementsAre("modules", "heads", "scorer"));
  EXPECT_THAT(FollowingFields({"model", "heads", "data_seed"}),
              UnorderedElementsAre("modules", "scorer"));
  EXPECT_THAT(FollowingFields({"target"}), IsEmpty());
  EXPECT_THAT(FollowingFields({"architecture"}), IsSupersetOf({"iterations", "order", "heads"}));
  // Where a field has its default before and after another has changed, it follows.
  for (const std::string architecture : {"MLP", "MHA", "RNN"}) {
    const JobConfig config = Canonical(Config("architecture: " + architecture));
    for (const std::string other : {"architecture: MHA", "model: GT_MODULAR", "model: MONOLITHIC",
                                    "rules: 4", "halve_learning_rate_every: 9",
                                    "target: "
                                    "CLASSIFICATION",
                                    "final_batch_size: 9", "batch_size: 9"}) {
      JobConfig changed = Config("architecture: " + architecture);
      EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(other, &changed));
      changed = Canonical(changed);
      const std::string field = other.substr(0, other.find(':'));
      const std::set<std::string> following = FollowingFields({field});
      for (const std::string& name : JobFieldNames()) {
        if (name == field || JobFieldWord(config, name) == JobFieldWord(changed, name)) continue;
        EXPECT_EQ(following.count(name), 1u) << name << " after " << other;
      }
    }
  }
}

}  // namespace
}  // namespace modlab
