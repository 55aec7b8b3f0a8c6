#include "server/query/matching.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/config/config_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

v1::JobConfig Heads(v1::ModelType model, int heads) {
  std::string text = "architecture: MHA model_dim: 4096";
  if (heads > 0) absl::StrAppend(&text, " heads: ", heads);
  return Canonical(Config(text, model));
}

// "heads=4: 0 2" for the setting of these variants.
std::vector<std::string> Settings(const std::vector<v1::JobConfig>& configs,
                                  const std::set<std::string>& left_out = {"model"}) {
  Matching matching(left_out);
  for (const v1::JobConfig& config : configs) matching.Add(config);
  std::vector<std::string> lines;
  for (const Matching::Setting& setting : matching.Settings()) {
    lines.push_back(absl::StrCat(absl::StrJoin(setting.choices, " "), ": ",
                                 absl::StrJoin(setting.variants, " ")));
  }
  return lines;
}

TEST(Matching, DefaultsMatchWhateverTheyAre) {
  EXPECT_THAT(Settings({}), IsEmpty());
  EXPECT_THAT(Settings({Heads(v1::MODULAR, 0), Heads(v1::MONOLITHIC, 0)}), ElementsAre(": 0 1"));
  // What was chosen otherwise makes another base.
  EXPECT_THAT(Settings({Canonical(Config("")), Canonical(Config("data_seed: 1"))}),
              ElementsAre(": 0", ": 1"));
  EXPECT_THAT(Settings({Canonical(Config("")), Canonical(Config("data_seed: 1"))}, {"data_seed"}),
              ElementsAre(": 0"));
}

TEST(Matching, VariantsAreNotPooled) {
  EXPECT_THAT(Settings({Canonical(Config("scorer: SEPARATE")), Canonical(Config("")),
                        Canonical(Config("", v1::MONOLITHIC))}),
              ElementsAre(": 1 2", "scorer=separate: 0"));
}

// Of 8 rules: the default is 2 heads, and 16 for MONOLITHIC.
TEST(Matching, AValueThatIsOneModelsDefaultMatchesTheOthersChoice) {
  EXPECT_THAT(Settings({Heads(v1::MODULAR, 2), Heads(v1::MONOLITHIC, 2)}),
              ElementsAre("heads=2: 1 0"));
  EXPECT_THAT(
      Settings({Heads(v1::MODULAR, 2), Heads(v1::MODULAR, 16), Heads(v1::MODULAR, 4),
                Heads(v1::MONOLITHIC, 2), Heads(v1::MONOLITHIC, 16), Heads(v1::MONOLITHIC, 4)}),
      testing::UnorderedElementsAre("heads=2: 3 0", "heads=16: 1 4", "heads=4: 2 5"));
}

TEST(Matching, DefaultsAreComparedThoughOthersChoseOneOfThem) {
  EXPECT_THAT(Settings({Heads(v1::MODULAR, 2), Heads(v1::MONOLITHIC, 16), Heads(v1::MONOLITHIC, 2),
                        Heads(v1::MODULAR, 4)}),
              testing::UnorderedElementsAre(": 0 1", "heads=2: 2 0", "heads=4: 3"));
}

TEST(Matching, PlacesTellJobsApart) {
  Matching matching({"model", "model_seed"});
  EXPECT_EQ(matching.Add(Canonical(Config(""))).variant, 0u);
  EXPECT_EQ(matching.Add(Canonical(Config("model_seed: 3"))).variant, 0u);
  const Matching::Place separate = matching.Add(Canonical(Config("scorer: SEPARATE")));
  EXPECT_EQ(separate.base, 0u);
  EXPECT_EQ(separate.variant, 1u);
  const Matching::Place other = matching.Add(Canonical(Config("rules: 4")));
  EXPECT_EQ(other.base, 1u);
  EXPECT_EQ(other.variant, 2u);
}

}  // namespace
}  // namespace modlab
