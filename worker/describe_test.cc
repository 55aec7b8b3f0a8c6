#include "worker/describe.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "modlab/v1/job.pb.h"
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
  EXPECT_THAT(ErrorOf("rules: 4\n---\nrules: 8\n"), HasSubstr("a second document begins here"));
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

v1::JobConfig Parsed(const std::string& text) {
  const auto config = ParseConfig(text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : v1::JobConfig();
}

TEST(Describe, MhaHasAlphaAndBetaOfEveryRule) {
  const v1::JobConfig config =
      Parsed("{architecture: mha, target: regression, rules: 4, model: gt_modular}");
  const auto task = nlohmann::json::parse(DescribeAsJson(config))["task"];
  EXPECT_NEAR(task["alpha"][3].get<double>(), 2.2408932, 1e-7);
  EXPECT_EQ(task["beta"].size(), 4u);
  EXPECT_THAT(DescribeAsTable(config), AllOf(HasSubstr("1.76405235"), HasSubstr("beta")));
}

TEST(Describe, RnnHasItsMatricesNestedByShape) {
  const v1::JobConfig config = Parsed(
      "{architecture: rnn, target: classification, rules: 2, model: gt_modular, input_dim: 5,"
      " order: 3, data_seed: 7}");
  const auto task = nlohmann::json::parse(DescribeAsJson(config))["task"];
  // numpy: r = RandomState(7); r.randn(2, 3, 5, 5) / sqrt(15), then
  // r.randn(2, 5, 5) / sqrt(5), then r.randn(5, 1).
  ASSERT_EQ(task["A"].size(), 2u);
  ASSERT_EQ(task["A"][1].size(), 3u);
  ASSERT_EQ(task["A"][1][2].size(), 5u);
  ASSERT_EQ(task["A"][1][2][4].size(), 5u);
  EXPECT_NEAR(task["A"][1][2][4][3].get<double>(), -0.072581751, 1e-8);
  EXPECT_NEAR(task["B"][1][0][2].get<double>(), 0.250787175, 1e-8);
  EXPECT_NEAR(task["w"][4][0].get<double>(), -0.361668313, 1e-8);
  EXPECT_THAT(DescribeAsTable(config),
              AllOf(HasSubstr("A  [2, 3, 5, 5]  0.43649186"), HasSubstr("B  [2, 5, 5]  "),
                    HasSubstr("w  [5, 1]  "), HasSubstr(" ...")));
}

}  // namespace
}  // namespace modlab
