#include "lib/config/sweep_spec.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// A sweep of MLP, regression, and what `text` says besides.
v1::SweepSpec Spec(const std::string& text) {
  v1::SweepSpec spec;
  spec.set_name("paper");
  spec.mutable_defaults()->set_architecture(v1::MLP);
  spec.mutable_defaults()->set_target(v1::REGRESSION);
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(text, &spec)) << text;
  return spec;
}

std::vector<v1::JobConfig> Expand(const v1::SweepSpec& spec) {
  auto configs = ExpandSweep(spec);
  EXPECT_TRUE(configs.ok()) << configs.status();
  return configs.ok() ? *configs : std::vector<v1::JobConfig>();
}

std::string Error(const v1::SweepSpec& spec) {
  const absl::Status status = ExpandSweep(spec).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

void AddAxis(v1::Grid* grid, const std::string& field, int count) {
  auto* axis = grid->add_axes();
  axis->set_field(field);
  for (int i = 0; i < count; ++i) axis->add_values(absl::StrCat(i));
}

TEST(ExpandSweep, IsTheProductWithTheLastAxisFastest) {
  const auto configs = Expand(
      Spec("grids { axes { field: 'rules' values: ['2', '4'] }"
           "        axes { field: 'model' values: ['monolithic', 'Modular', 'gt-modular'] } }"));
  std::vector<std::string> points;
  for (const auto& config : configs) {
    points.push_back(absl::StrCat(config.rules(), v1::ModelType_Name(config.model())));
  }
  EXPECT_THAT(points, testing::ElementsAre("2MONOLITHIC", "2MODULAR", "2GT_MODULAR", "4MONOLITHIC",
                                           "4MODULAR", "4GT_MODULAR"));
  for (const auto& config : configs) {
    EXPECT_EQ(Canonicalise(config)->SerializeAsString(), config.SerializeAsString());
  }
}

TEST(ExpandSweep, GridsOverlayDefaults) {
  const auto configs =
      Expand(Spec("defaults { rules: 8 model: MODULAR iterations: 7 }"
                  "grids { axes { field: 'rules' values: '2' } }"));
  ASSERT_EQ(configs.size(), 1u);
  EXPECT_EQ(configs[0].rules(), 2);
  EXPECT_EQ(configs[0].iterations(), 7);
}

TEST(ExpandSweep, WithoutGridsIsTheDefaults) {
  EXPECT_EQ(Expand(Spec("defaults { rules: 8 model: MODULAR }")).size(), 1u);
  EXPECT_EQ(Error(Spec("defaults { model: MODULAR }")), "defaults: rules is required");
}

TEST(ExpandSweep, EachConfigCountsOnce) {
  // A value twice, a value written in two ways, a grid that repeats another,
  // and a default that is written out.
  EXPECT_EQ(Expand(Spec("defaults { model: MODULAR }"
                        "grids { axes { field: 'rules' values: ['2', '4', '2', '02'] } }"
                        "grids { axes { field: 'rules' values: ['4', '8'] }"
                        "        axes { field: 'encoder_dim' values: ['32', '64'] } }"))
                .size(),
            2u + 3u);
}

TEST(ExpandSweep, NamesHaveAForm) {
  v1::SweepSpec spec = Spec("defaults { rules: 8 model: MODULAR }");
  for (const std::string& name :
       {std::string("a"), std::string("paper-grid_2"), std::string(63, 'a')}) {
    spec.set_name(name);
    EXPECT_TRUE(ExpandSweep(spec).ok()) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("A"), std::string("2a"), std::string("a-"), std::string("-a"),
        std::string("a b"), std::string("a/b"), std::string("\u00e9a"), std::string(64, 'a')}) {
    spec.set_name(name);
    EXPECT_THAT(Error(spec), StartsWith("name: \"")) << name;
  }
}

TEST(ExpandSweep, ErrorsSayWhere) {
  const std::string base = "defaults { model: MODULAR } ";
  EXPECT_EQ(Error(Spec(base + "grids { axes { field: 'rules' values: '2' } } grids {}")),
            "grid 2: has no axes; give at least one");
  EXPECT_EQ(Error(Spec(base + "grids { axes { field: 'rules' } }")),
            "grid 1: rules: has no values; give at least one");
  EXPECT_EQ(Error(Spec(base + "grids { axes { field: 'rules' values: '2' }"
                              "        axes { field: 'rules' values: '4' } }")),
            "grid 1: rules: is on two axes; give all its values on one");
  EXPECT_THAT(Error(Spec(base + "grids { axes { field: 'rulez' values: '2' } }")),
              StartsWith("grid 1: field: \"rulez\" is not known; did you mean \"rules\"?"));
  EXPECT_THAT(Error(Spec(base + "grids { axes { field: 'rules' values: 'two' } }")),
              StartsWith("grid 1: rules: \"two\" is not allowed"));
  EXPECT_EQ(Error(Spec("grids { axes { field: 'rules' values: ['2', '3'] }"
                       "        axes { field: 'model' values: ['monolithic', 'modular'] } }")),
            "grid 1, point rules=3 model=modular: model_dim: 128 is not divisible by modules = 3; "
            "allowed: a multiple of it, such as 129");
}

// What only one architecture has stands in that one's grid.
TEST(ExpandSweep, GridsMayDifferInArchitecture) {
  const auto configs =
      Expand(Spec("defaults { rules: 4 model: MODULAR }"
                  "grids { axes { field: 'architecture' values: ['mlp'] } }"
                  "grids { axes { field: 'architecture' values: ['mha'] }"
                  "        axes { field: 'search_version' values: ['1', '2'] } }"
                  "grids { axes { field: 'architecture' values: ['rnn'] }"
                  "        axes { field: 'order' values: ['1', '2'] } }"));
  ASSERT_EQ(configs.size(), 1u + 2u + 2u);
  EXPECT_EQ(configs[2].search_version(), 2);
  EXPECT_EQ(configs[4].order(), 2);
  EXPECT_EQ(Error(Spec("defaults { rules: 4 model: MODULAR search_version: 2 }"
                       "grids { axes { field: 'architecture' values: ['mha', 'mlp'] } }")),
            "grid 1, point architecture=mlp: search_version: 2 is not allowed for architecture = "
            "MLP; allowed: none (only for MHA)");
}

TEST(ExpandSweep, GridsAreCounted) {
  v1::SweepSpec spec = Spec("defaults { rules: 2 model: MODULAR }");
  for (int i = 0; i < 1000; ++i) AddAxis(spec.add_grids(), "data_seed", 1);
  EXPECT_EQ(Expand(spec).size(), 1u);
  AddAxis(spec.add_grids(), "data_seed", 1);
  EXPECT_EQ(Error(spec), "grids: 1001 are too many; allowed: at most 1000");
}

TEST(ExpandSweep, TooManyPointsAreRefusedBeforeExpansion) {
  v1::SweepSpec spec = Spec("defaults { rules: 2 model: MODULAR }");
  v1::Grid* grid = spec.add_grids();
  AddAxis(grid, "data_seed", 1001);
  AddAxis(grid, "model_seed", 1000);
  absl::Status status = ExpandSweep(spec).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(std::string(status.message()),
            "grids: 1001000 jobs are too many for one sweep; allowed: at most 1000000");
  // A product beyond 64 bits.
  for (const char* field : {"iterations", "eval_interval", "batch_size", "final_batches",
                            "activation_batches", "adaptation_draws"}) {
    AddAxis(grid, field, 1000);
  }
  status = ExpandSweep(spec).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at least 1000000000000 jobs"));
}

TEST(ExpandSweep, ManyPoints) {
  v1::SweepSpec spec = Spec("defaults { rules: 2 model: MODULAR }");
  v1::Grid* grid = spec.add_grids();
  AddAxis(grid, "data_seed", 1000);
  AddAxis(grid, "model_seed", 100);
  const auto configs = Expand(spec);
  ASSERT_EQ(configs.size(), 100'000u);
  EXPECT_EQ(configs.back().data_seed(), 999);
  EXPECT_EQ(configs.back().model_seed(), 99);
}

v1::Axis Axis(const std::string& field, const std::vector<std::string>& values) {
  v1::Axis axis;
  axis.set_field(field);
  axis.mutable_values()->Assign(values.begin(), values.end());
  return axis;
}

v1::SweepSpec Extend(const v1::SweepSpec& spec, const std::vector<v1::Axis>& axes) {
  auto extended = ExtendSpec(spec, axes);
  EXPECT_TRUE(extended.ok()) << extended.status();
  return extended.ok() ? *extended : v1::SweepSpec();
}

std::string ExtendError(const v1::SweepSpec& spec, const std::vector<v1::Axis>& axes) {
  const absl::Status status = ExtendSpec(spec, axes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

std::set<std::string> Keys(const v1::SweepSpec& spec) {
  std::set<std::string> keys;
  for (const auto& config : Expand(spec)) keys.insert(JobKey(config));
  return keys;
}

// Values of the axis of a grid that is spoken of as from 1.
std::vector<std::string> Values(const v1::SweepSpec& spec, int grid, const std::string& field) {
  for (const auto& axis : spec.grids(grid - 1).axes()) {
    if (axis.field() == field) return {axis.values().begin(), axis.values().end()};
  }
  return {};
}

TEST(ExtendSpec, AddsValuesToAnAxis) {
  const auto spec = Spec(
      "defaults { model: MODULAR } grids { axes { field: 'rules' values: ['2', '4'] }"
      "                                    axes { field: 'model_seed' values: ['0', '1'] } }");
  const auto extended = Extend(spec, {Axis("model_seed", {"2", "3"})});
  EXPECT_EQ(Expand(extended).size(), 2u * 4u);
  EXPECT_EQ(extended.name(), "paper");
  const auto before = Keys(spec), after = Keys(extended);
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
}

TEST(ExtendSpec, ValuesThatAreThereAreNotAddedAgain) {
  const auto spec = Spec(
      "defaults { model: MODULAR learning_rate: 0.001 } grids { axes { field: 'rules' values: '2' "
      "values: '04' } }");
  const auto extended =
      Extend(spec, {Axis("rules", {"4", "8", "08", "2"}), Axis("learning_rate", {"1e-3", "1e-4"})});
  EXPECT_THAT(Values(extended, 1, "rules"), testing::ElementsAre("2", "04", "8"));
  EXPECT_THAT(Values(extended, 1, "learning_rate"), testing::ElementsAre("0.001", "1e-4"));
  EXPECT_EQ(Extend(extended, {Axis("rules", {"8"}), Axis("learning_rate", {"0.0001"})})
                .SerializeAsString(),
            extended.SerializeAsString());
}

TEST(ExtendSpec, AFieldOfDefaultsBecomesAnAxis) {
  const auto spec = Spec("defaults { model: MODULAR rules: 8 model_seed: 7 }");
  const auto extended = Extend(spec, {Axis("model_seed", {"8", "7"}), Axis("rules", {"4"})});
  EXPECT_THAT(Values(extended, 1, "model_seed"), testing::ElementsAre("7", "8"));
  EXPECT_EQ(Expand(extended).size(), 4u);
  const auto before = Keys(spec), after = Keys(extended);
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
}

TEST(ExtendSpec, AFieldThatNobodySetBeginsWithItsDefault) {
  const auto spec =
      Spec("defaults { model: MODULAR } grids { axes { field: 'rules' values: '2' } }");
  const auto extended = Extend(spec, {Axis("model_seed", {"1"}), Axis("iterations", {"5"})});
  EXPECT_THAT(Values(extended, 1, "model_seed"), testing::ElementsAre("0", "1"));
  EXPECT_THAT(Values(extended, 1, "iterations"), testing::ElementsAre("100000", "5"));
  const auto before = Keys(spec), after = Keys(extended);
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
}

TEST(ExtendSpec, EachGridHasItsOwnDefault) {
  const auto spec = Spec(
      "defaults { model: MODULAR rules: 4 }"
      "grids { axes { field: 'architecture' values: 'mlp' } }"
      "grids { axes { field: 'architecture' values: 'rnn' } }"
      "grids { axes { field: 'architecture' values: 'mlp' }"
      "        axes { field: 'iterations' values: '9' } }");
  const auto extended = Extend(spec, {Axis("iterations", {"7"})});
  EXPECT_THAT(Values(extended, 1, "iterations"), testing::ElementsAre("100000", "7"));
  EXPECT_THAT(Values(extended, 2, "iterations"), testing::ElementsAre("500000", "7"));
  EXPECT_THAT(Values(extended, 3, "iterations"), testing::ElementsAre("9", "7"));
  EXPECT_EQ(Expand(extended).size(), 2u + 2u + 1u);  // the third's 7 is the first's
}

TEST(ExtendSpec, AFieldInWhichJobsDifferCannotBecomeAnAxis) {
  const auto rules =
      Spec("defaults { model: MODULAR } grids { axes { field: 'rules' values: ['2', '4'] } }");
  EXPECT_EQ(ExtendError(rules, {Axis("modules", {"8"})}),
            "grid 1: modules: cannot become an axis, as jobs of this grid differ in it (2, 4); "
            "submit a sweep with the values wanted instead");
  // 4 only comes with the extension.
  const auto one =
      Spec("defaults { model: MODULAR } grids { axes { field: 'rules' values: '2' } }");
  EXPECT_THAT(ExtendError(one, {Axis("modules", {"8"}), Axis("rules", {"4"})}),
              StartsWith("grid 1: modules: cannot become an axis"));
  EXPECT_EQ(ExtendError(one, {Axis("order", {"2"})}), "grid 1: order: jobs of this grid have none");
}

TEST(ExtendSpec, BadExtensionsAreNamed) {
  const auto spec = Spec("defaults { model: MODULAR rules: 2 }");
  EXPECT_EQ(ExtendError(spec, {}), "extension: has no axes; give at least one");
  EXPECT_THAT(ExtendError(spec, {Axis("model_sed", {"1"})}),
              StartsWith("extension: field: \"model_sed\" is not known; did you mean "));
  EXPECT_THAT(ExtendError(spec, {Axis("model_seed", {"one"})}),
              StartsWith("extension: model_seed: \"one\" is not allowed"));
  EXPECT_EQ(ExtendError(spec, {Axis("model_seed", {})}),
            "extension: model_seed: has no values; give at least one");
  EXPECT_EQ(ExtendError(spec, {Axis("model_seed", {"1"}), Axis("model_seed", {"2"})}),
            "extension: model_seed: is on two axes; give all its values on one");
}

// What is written well and yet no sweep is found by ExpandSweep().
TEST(ExtendSpec, TheResultMayBeRefused) {
  v1::SweepSpec spec = Spec("defaults { model: MODULAR rules: 2 }");
  EXPECT_THAT(Error(Extend(spec, {Axis("model_seed", {"-1"})})),
              StartsWith("grid 1, point model_seed=-1: model_seed: -1 is not allowed"));
  AddAxis(spec.add_grids(), "data_seed", 1000);
  AddAxis(spec.mutable_grids(0), "model_seed", 1000);
  const auto extended = Extend(spec, {Axis("model_seed", {"1000"})});
  EXPECT_EQ(ExpandSweep(extended).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace modlab
