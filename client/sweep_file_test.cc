#include "client/sweep_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/policy.h"
#include "lib/config/words.h"

namespace modlab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Three lines; tests begin theirs at line 4.
constexpr char kHead[] =
    "name: test\n"
    "defaults: {architecture: mlp, target: regression, rules: 2, model: modular}\n"
    "\n";

std::string ErrorOf(const std::string& text) {
  const auto file = ParseSweep(text, "f.yaml");
  EXPECT_FALSE(file.ok()) << text;
  return file.ok() ? "" : std::string(file.status().message());
}

std::vector<std::string> Words(const std::string& text, const std::string& field) {
  const auto file = ParseSweep(text, "f.yaml");
  EXPECT_TRUE(file.ok()) << file.status();
  std::vector<std::string> words;
  if (!file.ok()) return words;
  for (const v1::JobConfig& job : file->jobs) words.push_back(JobFieldWord(job, field));
  return words;
}

TEST(SweepFileTest, DefaultsAloneAreOneJob) {
  const auto file = ParseSweep(kHead, "f.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->spec.name(), "test");
  EXPECT_EQ(file->spec.defaults().rules(), 2);
  ASSERT_EQ(file->jobs.size(), 1U);
  // Canonical: what was left out has its default.
  EXPECT_EQ(file->jobs[0].modules(), 2);
}

TEST(SweepFileTest, AGridIsAProductWhoseLastFieldVariesFastest) {
  const std::string text =
      absl::StrCat(kHead, "grid:\n  rules: [4, 8]\n  data_seed: [1, 2]\n  target: regression\n");
  EXPECT_THAT(Words(text, "rules"), ElementsAre("4", "4", "8", "8"));
  EXPECT_THAT(Words(text, "data_seed"), ElementsAre("1", "2", "1", "2"));
}

TEST(SweepFileTest, GridsOfAListFollowEachOther) {
  const std::string text = absl::StrCat(
      kHead, "grid:\n  - model: [monolithic, gt_modular]\n  - {scorer: [joint, separate]}\n");
  EXPECT_THAT(Words(text, "model"), ElementsAre("monolithic", "gt_modular", "modular", "modular"));
}

// Each architecture's own fields stand in its grid.
TEST(SweepFileTest, GridsOfArchitectures) {
  const std::string text =
      "name: test\n"
      "defaults: {target: regression, rules: 4, model: modular}\n"
      "grid:\n"
      "  - {architecture: mha, search_version: [1, 2], heads: 4}\n"
      "  - {architecture: rnn, order: {from: 1, to: 3}, halve_learning_rate_every: 50000}\n";
  EXPECT_THAT(Words(text, "search_version"), ElementsAre("1", "2", "", "", ""));
  EXPECT_THAT(Words(text, "order"), ElementsAre("", "", "1", "2", "3"));
  EXPECT_THAT(Words(text, "halve_learning_rate_times"), ElementsAre("", "", "3", "3", "3"));
  EXPECT_EQ(ErrorOf("name: test\n"
                    "defaults: {architecture: mlp, target: regression, rules: 4, model: modular}\n"
                    "grid: {order: 1}\n"),
            "f.yaml:3:7: grid 1, point order=1: order: 1 is not allowed for architecture = MLP; "
            "allowed: none (only for RNN)");
}

TEST(SweepFileTest, ARangeIncludesItsEnd) {
  EXPECT_THAT(Words(absl::StrCat(kHead, "grid: {data_seed: {from: 3, to: 5}}"), "data_seed"),
              ElementsAre("3", "4", "5"));
  EXPECT_THAT(
      Words(absl::StrCat(kHead, "grid: {data_seed: {from: 0, to: 5, step: 2}}"), "data_seed"),
      ElementsAre("0", "2", "4"));
  EXPECT_THAT(Words(absl::StrCat(kHead, "grid: {data_seed: {from: 7, to: 7}}"), "data_seed"),
              ElementsAre("7"));
}

TEST(SweepFileTest, ADecimalRangeHasTheDecimalsThatWereWritten) {
  EXPECT_THAT(Words(absl::StrCat(kHead, "grid: {learning_rate: {from: 0.1, to: 0.3, step: 0.1}}"),
                    "learning_rate"),
              ElementsAre("0.1", "0.2", "0.3"));
}

TEST(SweepFileTest, AliasesMeanTheirAnchors) {
  EXPECT_THAT(Words(absl::StrCat(kHead,
                                 "grid:\n"
                                 "  - data_seed: &seeds [1, 2]\n"
                                 "  - {rules: 4, data_seed: *seeds}\n"),
                    "data_seed"),
              ElementsAre("1", "2", "1", "2"));
}

TEST(SweepFileTest, PolicyIsReadAndOptional) {
  const auto plain = ParseSweep(kHead, "f.yaml");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(PolicyText(plain->policy), "");
  const auto file = ParseSweep(
      absl::StrCat(kHead,
                   "priority: -5\n"
                   "max_running: 12\n"
                   "preempt: true\n"
                   "requires: {device: cuda, memory_gib: 1.5, labels: [a100, rack=7]}\n"),
      "f.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(PolicyText(file->policy),
            "priority -5, at most 12 running, preempts, needs cuda, 1.5 GiB, a100, rack=7");
  const auto word = ParseSweep(absl::StrCat(kHead, "requires: {labels: a100}\n"), "f.yaml");
  ASSERT_TRUE(word.ok()) << word.status();
  EXPECT_EQ(PolicyText(word->policy), "needs a100");
}

struct BadCase {
  std::string name;
  // Behind kHead.
  std::string text;
  std::string place;
  std::string words;
};

class BadSweepTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadSweepTest, NamesPlaceAndCause) {
  EXPECT_THAT(ErrorOf(absl::StrCat(kHead, GetParam().text)),
              AllOf(StartsWith("f.yaml:" + GetParam().place + ": "), HasSubstr(GetParam().words)));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadSweepTest,
    testing::Values(
        BadCase{"UnknownKey", "gird: {}\n", "4:1", "\"gird\"; did you mean \"grid\"?"},
        BadCase{"FieldAtTheTop", "iterations: 3\n", "4:1", "under \"defaults\" or \"grid\""},
        BadCase{"UnknownField", "grid:\n  ruels: [2]\n", "5:3", "did you mean \"rules\"?"},
        BadCase{"WrongType", "grid:\n  rules: [2, x]\n", "5:14", "rules: \"x\""},
        BadCase{"Fraction", "grid:\n  rules: 2.5\n", "5:10", "rules: \"2.5\""},
        BadCase{"UnknownModel", "grid: {model: modluar}\n", "4:15", "did you mean \"modular\"?"},
        BadCase{"RulesZero", "grid: {rules: 0}\n", "4:7", "allowed: 2..256"},
        BadCase{"Indivisible", "grid:\n- rules: 2\n- {rules: 3, model_dim: 10}\n", "6:3",
                "model_dim: 10 is not divisible"},
        BadCase{"EmptyGrid", "grid: {}\n", "4:7", "empty"},
        BadCase{"EmptyGridList", "grid: []\n", "4:7", "empty"},
        BadCase{"GridOfNothing", "grid:\n", "4:1", "empty"},
        BadCase{"EmptyList", "grid: {rules: []}\n", "4:15", "at least one value"},
        BadCase{"NoValue", "grid:\n  rules:\n", "5:3", "at least one"},
        BadCase{"ListInList", "grid: {rules: [[2]]}\n", "4:16", "not a list"},
        BadCase{"GridIsAWord", "grid: fast\n", "4:7", "must be a map"},
        BadCase{"RangeWithoutEnd", "grid: {rules: {from: 2}}\n", "4:15", "needs from and to"},
        BadCase{"RangeBackwards", "grid: {rules: {from: 4, to: 2}}\n", "4:15", "from is above to"},
        BadCase{"RangeStandsStill", "grid: {rules: {from: 2, to: 4, step: 0}}\n", "4:15",
                "step must be above 0"},
        BadCase{"RangeOfWords", "grid: {rules: {from: two, to: 4}}\n", "4:16", "\"two\""},
        BadCase{"RangeKey", "grid: {rules: {from: 2, till: 4}}\n", "4:25", "from, to, step"},
        BadCase{"RangeTooLong", "grid: {data_seed: {from: 0, to: 1e15}}\n", "4:19", "1000000"},
        BadCase{"TooManyJobs",
                "grid: {data_seed: {from: 1, to: 1001}, model_seed: {from: 1, to: 1000}}\n", "4:1",
                "1001000 jobs"},
        BadCase{"KeyTwice", "name: again\n", "4:1", "\"name\" is given twice"},
        BadCase{"FieldTwice", "grid: {rules: 2, rules: 3}\n", "4:18", "\"rules\" is given twice"},
        BadCase{"PriorityWord", "priority: high\n", "4:11", "whole number, not \"high\""},
        BadCase{"PriorityRange", "priority: 1001\n", "4:11", "allowed: -1000..1000"},
        BadCase{"RunningBelowZero", "max_running: -1\n", "4:14", "max_running: -1"},
        BadCase{"PreemptWord", "preempt: often\n", "4:1", "true or false, not \"often\""},
        BadCase{"RequiresWord", "requires: gpu\n", "4:11", "requires must be a map"},
        BadCase{"RequiresKey", "requires: {gpu: 1}\n", "4:12", "device, memory_gib, labels"},
        BadCase{"RequiresDevice", "requires: {device: gpu}\n", "4:20", "allowed: cpu, cuda"},
        BadCase{"RequiresMemory", "requires:\n  memory_gib: 0\n", "5:15", "above 0"},
        BadCase{"RequiresMemoryWord", "requires: {memory_gib: big}\n", "4:12",
                "must be a number, not \"big\""},
        BadCase{"RequiresLabel", "requires: {labels: [a, b c]}\n", "4:24", "label: \"b c\""},
        BadCase{"RequiresLabelMap", "requires: {labels: [{a: b}]}\n", "4:21", "not a map"},
        BadCase{"SecondDocument", "---\nname: b\n", "4:1", "second document"},
        BadCase{"Unclosed", "grid: {rules: [2\n", "5:1", "malformed YAML"},
        BadCase{"Tab", "\tgrid: {}\n", "4:2", "malformed YAML"},
        BadCase{"NoAnchor", "grid: *nowhere\n", "4:7", "malformed YAML"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(SweepFileTest, MistakesInDefaultsAndNames) {
  EXPECT_THAT(ErrorOf("name: a\ndefaults: {rules: [2]}\n"), StartsWith("f.yaml:2:12: rules"));
  EXPECT_THAT(ErrorOf("name: a\ndefaults: [2]\n"), StartsWith("f.yaml:2:11: defaults must be"));
  EXPECT_THAT(ErrorOf("name: a\ndefaults: {rules: 2}\n"), HasSubstr("architecture is required"));
  EXPECT_THAT(ErrorOf("defaults: {rules: 2}\n"), StartsWith("f.yaml:1:1: name is missing"));
  EXPECT_THAT(ErrorOf("\nname: Big\ngrid: {rules: 2}\n"), StartsWith("f.yaml:2:1: name: \"Big\""));
  EXPECT_THAT(ErrorOf("name: [a]\n"), StartsWith("f.yaml:1:1: name must be a word"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf("# nothing\n"), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf("- name: a\n"), HasSubstr("must be a map"));
  EXPECT_THAT(ErrorOf(std::string("\0\1\2", 3)), StartsWith("f.yaml"));
}

TEST(SweepFileTest, HugeNestingsAndExpansionsEndSoon) {
  EXPECT_THAT(ErrorOf("name: a\ngrid: " + std::string(300000, '[')), HasSubstr("too deeply"));
  // 1,000 grids that each name the same 5,000 values.
  std::string text = absl::StrCat(kHead, "grid:\n- data_seed: &all [");
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&text, i, ",");
  text += "0]\n";
  for (int i = 0; i < 999; ++i) text += "- data_seed: *all\n";
  EXPECT_THAT(ErrorOf(text), HasSubstr("more than 1000000 values"));
}

TEST(SweepFileTest, ReadsFilesOfAtMostOneMebibyte) {
  std::string dir = testing::TempDir() + "/modlab-sweep-XXXXXX";
  ASSERT_NE(mkdtemp(dir.data()), nullptr);
  const std::string path = dir + "/f.yaml";
  std::string text = kHead;
  text += "#" + std::string((1 << 20) - text.size() - 1, 'x');
  std::ofstream(path) << text;
  EXPECT_TRUE(ReadSweepFile(path).ok());
  std::ofstream(path) << text << "x";
  EXPECT_THAT(std::string(ReadSweepFile(path).status().message()), HasSubstr("too large"));
  const auto missing = ReadSweepFile(dir + "/none.yaml");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("none.yaml: No such file"));
  EXPECT_FALSE(ReadSweepFile(dir).ok());
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace modlab
