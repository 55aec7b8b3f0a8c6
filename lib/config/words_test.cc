#include "lib/config/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string SetError(const std::string& field, const std::string& word) {
  v1::JobConfig config;
  config.set_rules(8);
  const std::string before = config.SerializeAsString();
  const absl::Status status = SetJobField(field, word, &config);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field << "=" << word;
  EXPECT_EQ(config.SerializeAsString(), before);
  return std::string(status.message());
}

TEST(NearestWord, FindsTheSmallestDistance) {
  const std::vector<std::string> known = {"rules", "modules", "model"};
  EXPECT_EQ(NearestWord("rule", known), "rules");
  EXPECT_EQ(NearestWord("MODULE", known), "modules");
  EXPECT_EQ(NearestWord("modl", known), "model");
  EXPECT_EQ(NearestWord("rules", known), "rules");
}

TEST(NearestWord, IsEmptyWhereNothingIsNear) {
  EXPECT_EQ(NearestWord("xyz", {"rules", "modules"}), "");
  EXPECT_EQ(NearestWord("", {"rules"}), "");
  EXPECT_EQ(NearestWord("rules", {}), "");
  EXPECT_EQ(NearestWord("abxx", {"abcd"}), "abcd");  // half of its letters
  EXPECT_EQ(NearestWord("axxx", {"abcd"}), "");
  EXPECT_EQ(NearestWord(std::string(10'000'000, 'r'), {"rules"}), "");
}

TEST(QuotedWord, IsShortAndPrintable) {
  EXPECT_EQ(QuotedWord("a\"\n"), "\"a\\\"\\n\"");
  EXPECT_EQ(QuotedWord(std::string(1000, 'x')), "\"" + std::string(64, 'x') + "...\"");
  // Never cut within a character.
  EXPECT_EQ(QuotedWord(std::string(63, 'x') + "\u00e9\u00e9"),
            "\"" + std::string(63, 'x') + "...\"");
}

TEST(JobFields, AreListedByNumber) {
  const std::vector<std::string>& names = JobFieldNames();
  ASSERT_EQ(names.size(), 29u);
  EXPECT_EQ(names.front(), "architecture");
  EXPECT_EQ(names[12], "learning_rate");
  EXPECT_EQ(names.back(), "activation_batch_size");
  for (const std::string& name : names) EXPECT_TRUE(CheckJobField(name).ok()) << name;
}

TEST(JobFields, AnUnknownOneNamesTheNearest) {
  const absl::Status status = CheckJobField("modle");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("field: \"modle\" is not known; did you mean \"model\"?"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("encoder_dim"));
  EXPECT_LT(CheckJobField(std::string(100'000, 'm')).message().size(), 1000u);
}

TEST(SetJobField, ReadsEveryType) {
  v1::JobConfig config;
  ASSERT_TRUE(SetJobField("rules", "8", &config).ok());
  ASSERT_TRUE(SetJobField("data_seed", "4294967295", &config).ok());
  ASSERT_TRUE(SetJobField("learning_rate", "1e-4", &config).ok());
  ASSERT_TRUE(SetJobField("model", "gt-Modular", &config).ok());
  ASSERT_TRUE(SetJobField("architecture", "mlp", &config).ok());
  ASSERT_TRUE(SetJobField("target", "REGRESSION", &config).ok());
  EXPECT_EQ(config.rules(), 8);
  EXPECT_EQ(config.data_seed(), 4294967295);
  EXPECT_EQ(config.learning_rate(), 1e-4);
  EXPECT_EQ(config.model(), v1::GT_MODULAR);
  EXPECT_EQ(config.architecture(), v1::MLP);
  EXPECT_EQ(config.target(), v1::REGRESSION);
}

TEST(SetJobField, SetsZeroToo) {
  v1::JobConfig config;
  ASSERT_TRUE(SetJobField("model_seed", "0", &config).ok());
  EXPECT_TRUE(config.has_model_seed());
}

TEST(SetJobField, RefusesNumbersNotWrittenInFull) {
  for (const std::string word : {"8.0", " 8", "8 ", "1e3", "+8", "", "-", "0x8", "eight", "--8",
                                 "9999999999", "99999999999999999999"}) {
    EXPECT_THAT(SetError("rules", word), HasSubstr("rules: \"" + word + "\" is not allowed"));
  }
  EXPECT_THAT(SetError("data_seed", "99999999999999999999"), HasSubstr("9223372036854775807"));
  for (const std::string word : {"", " 1", "1 ", "nan", "inf", "0x1p3", "1e", "1e-4x", "+1", "."}) {
    EXPECT_THAT(SetError("learning_rate", word), HasSubstr("learning_rate: "));
  }
}

TEST(SetJobField, AnUnknownEnumWordNamesTheNearest) {
  EXPECT_EQ(SetError("model", "gtmodular"),
            "model: \"gtmodular\" is not known; did you mean \"gt_modular\"? Allowed: monolithic, "
            "modular, modular_op, gt_modular");
  EXPECT_EQ(SetError("target", "x"),
            "target: \"x\" is not known; allowed: regression, classification");
  SetError("model", "model_type_unspecified");
  SetError("model", "1");
  SetError("model", "");
}

TEST(JobFieldWord, IsReadBackToTheSameValue) {
  for (const double rate :
       {1e-4, 0.1, 3e-4, 1.0 / 3.0, 1e-300, 2.5e20, 1.0, 0.001, 1234.5,
        std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max()}) {
    v1::JobConfig config;
    config.set_learning_rate(rate);
    v1::JobConfig again;
    ASSERT_TRUE(SetJobField("learning_rate", JobFieldWord(config, "learning_rate"), &again).ok());
    EXPECT_EQ(again.learning_rate(), rate);
  }
  v1::JobConfig config;
  config.set_learning_rate(1e-4);
  config.set_model(v1::GT_MODULAR);
  config.set_model_seed(4294967295);
  EXPECT_EQ(JobFieldWord(config, "learning_rate"), "1e-4");
  EXPECT_EQ(JobFieldWord(config, "model"), "gt_modular");
  EXPECT_EQ(JobFieldWord(config, "model_seed"), "4294967295");
  EXPECT_EQ(JobFieldWord(config, "rules"), "");
  config.set_learning_rate(1e-12);
  EXPECT_EQ(JobFieldWord(config, "learning_rate"), "1e-12");
  config.set_learning_rate(0.05);
  EXPECT_EQ(JobFieldWord(config, "learning_rate"), "0.05");
}

TEST(Metrics, NamesAndNumbers) {
  EXPECT_EQ(MetricName(v1::COLLAPSE_AVG), "collapse_avg");
  EXPECT_EQ(MetricName(v1::METRIC_UNSPECIFIED), "");
  EXPECT_EQ(MetricName(static_cast<v1::Metric>(9999)), "");
  for (int i = 0; i < v1::Metric_descriptor()->value_count(); ++i) {
    const auto metric = static_cast<v1::Metric>(v1::Metric_descriptor()->value(i)->number());
    if (metric == v1::METRIC_UNSPECIFIED) continue;
    const auto parsed = ParseMetric(MetricName(metric));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, metric);
  }
  ASSERT_TRUE(ParseMetric("Collapse-AVG").ok());
  const auto unknown = ParseMetric("colapse_avg");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("\"collapse_avg\"?"));
}

TEST(States, NamesAndNumbers) {
  EXPECT_EQ(StateName(v1::QUEUED), "queued");
  EXPECT_EQ(CauseName(v1::WORKER_LOST), "worker_lost");
  EXPECT_THAT(CauseName(v1::FAILURE_CAUSE_UNSPECIFIED), IsEmpty());
  ASSERT_TRUE(ParseState("SUCCEEDED").ok());
  EXPECT_EQ(*ParseState("SUCCEEDED"), v1::SUCCEEDED);
  EXPECT_THAT(std::string(ParseState("runing").status().message()), HasSubstr("\"running\"?"));
}

}  // namespace
}  // namespace modlab
