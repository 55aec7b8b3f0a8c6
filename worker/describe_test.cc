#include "worker/describe.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace modlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kYaml[] =
    "architecture: mlp\ntarget: regression\nrules: 4\nmodel: gt_modular\nmodel_seed: 3\n";

std::string ErrorOf(const std::string& text) {
  const auto config = ParseConfig(text);
  EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << config.status();
  return std::string(config.status().message());
}

TEST(Describe, ReadsYamlAndJsonAlike) {
  const auto yaml = ParseConfig(kYaml);
  ASSERT_TRUE(yaml.ok()) << yaml.status();
  EXPECT_EQ(yaml->rules(), 4);
  EXPECT_EQ(yaml->modules(), 4);
  const auto json = ParseConfig(
      R"({"architecture": "MLP", "target": "REGRESSION", "rules": 4,
          "model": "GT_MODULAR", "model_seed": 3})");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(yaml->SerializeAsString(), json->SerializeAsString());
}

TEST(Describe, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(ErrorOf("rules: 4\nmodle: modular\n"),
              AllOf(HasSubstr("line 2"), HasSubstr("modle"), HasSubstr("model")));
  EXPECT_THAT(ErrorOf("rules: many\n"), AllOf(HasSubstr("line 1"), HasSubstr("many")));
  EXPECT_THAT(ErrorOf("rules: 4\nrules: 8\n"), AllOf(HasSubstr("line 2"), HasSubstr("twice")));
  EXPECT_THAT(ErrorOf("rules: [4, 8]\n"), HasSubstr("rules: expected a single value"));
  EXPECT_THAT(ErrorOf("- rules\n"), HasSubstr("expected one map"));
  EXPECT_THAT(ErrorOf("rules: [4\n"), HasSubstr("line"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("expected one"));
  EXPECT_THAT(ErrorOf("rules: 4\n---\nrules: 8\n"), HasSubstr("one document"));
  EXPECT_THAT(ErrorOf("? [a]\n: 4\n"), HasSubstr("single word"));
  EXPECT_THAT(ErrorOf(std::string(kYaml) + "modules: 3\n"), HasSubstr("modules"));
}

TEST(Describe, AFileThatIsNotThereIsNamed) {
  const auto config = ReadConfig("/nonexistent/job.yaml");
  EXPECT_TRUE(absl::IsNotFound(config.status()));
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("/nonexistent/job.yaml"));
  EXPECT_FALSE(ReadConfig("/").ok());
}

TEST(Describe, JsonHasNumbersAsNumbersAndTheKnownCoefficients) {
  const auto config = ParseConfig(kYaml);
  ASSERT_TRUE(config.ok()) << config.status();
  const auto json = nlohmann::json::parse(DescribeAsJson(*config));
  EXPECT_EQ(json["config"]["rules"], 4);
  EXPECT_EQ(json["config"]["learning_rate"], 1e-4);
  EXPECT_EQ(json["config"]["model"], "gt_modular");
  EXPECT_EQ(json["job_key"].get<std::string>().size(), 32u);
  // numpy's RandomState(0).randn(4)
  EXPECT_NEAR(json["task"]["alpha"][0].get<double>(), 1.76405235, 1e-8);
  EXPECT_NEAR(json["task"]["alpha"][3].get<double>(), 2.2408932, 1e-7);
  EXPECT_EQ(json["task"]["beta"].size(), 4u);
  int64_t parameters = 0;
  for (const auto& tensor : json["tensors"]) {
    int64_t size = 1;
    for (const auto& length : tensor["shape"]) size *= length.get<int64_t>();
    parameters += size;
  }
  EXPECT_GT(parameters, 0);
  EXPECT_EQ(json["parameters"], parameters);
}

TEST(Describe, TableNamesEverything) {
  const auto config = ParseConfig(kYaml);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(DescribeAsTable(*config),
              AllOf(HasSubstr("gt_modular"), HasSubstr("1.76405235"), HasSubstr("job key"),
                    HasSubstr("shape key"), HasSubstr("tensors")));
}

}  // namespace
}  // namespace modlab
