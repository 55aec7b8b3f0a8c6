#include "client/report/module_exhibits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

const Scope kScope = {"s-1", {}, v1::LAST};

void AddRow(const std::vector<std::string>& group, v1::Metric metric, double mean,
            v1::QueryResultsResponse* response) {
  v1::ResultRow* row = response->add_rows();
  row->mutable_group()->Assign(group.begin(), group.end());
  row->set_metric(metric);
  row->mutable_summary()->set_mean(mean);
  row->mutable_summary()->set_ci95_low(mean - 1);
  row->mutable_summary()->set_ci95_high(mean + 1);
  row->mutable_summary()->set_n(2);
}

TEST(ModuleExhibitsTest, EveryMetricHasAPanel) {
  const auto request = AskModulesByRules(kScope);
  v1::QueryResultsResponse response;
  EXPECT_FALSE(ModulesByRules(request, response).has_value());
  // Where modules are not as many as rules there is no alignment.
  AddRow({"mlp", "modular", "4"}, v1::COLLAPSE_AVG, 0.5, &response);
  const auto exhibit = ModulesByRules(request, response);
  ASSERT_TRUE(exhibit.has_value());
  std::vector<std::string> titles;
  for (const auto& panel : std::get<std::vector<LinePanel>>(exhibit->figure.panels)) {
    titles.push_back(panel.title);
  }
  EXPECT_THAT(titles, ElementsAre("MLP, Collapse-Avg", "MLP, Collapse-Worst", "MLP, Alignment",
                                  "MLP, Adaptation", "MLP, Inverse MI"));
}

TEST(ModuleExhibitsTest, RandomHasNoIntervalOverall) {
  const auto request = AskModulesOverall(kScope);
  v1::QueryResultsResponse response;
  AddRow({"mlp", "modular"}, v1::ALIGNMENT, 0.5, &response);
  AddRow({"mlp", "random"}, v1::ALIGNMENT, 0.75, &response);
  const auto exhibit = ModulesOverall(request, response);
  ASSERT_TRUE(exhibit.has_value());
  const BarPanel& panel = std::get<std::vector<BarPanel>>(exhibit->figure.panels)[2];
  EXPECT_THAT(panel.categories, ElementsAre("MLP"));
  EXPECT_EQ(panel.series[0].values[0].low, -0.5);
  EXPECT_EQ(panel.series[1].values[0].value, 0.75);
  EXPECT_NE(panel.series[1].values[0].low, panel.series[1].values[0].low);  // NaN
}

v1::Job AJob(v1::ModelType model, const std::vector<float>& values) {
  v1::Job job;
  job.mutable_config()->set_architecture(v1::MLP);
  job.mutable_config()->set_target(v1::REGRESSION);
  job.mutable_config()->set_model(model);
  v1::ActivationMatrix* activation = job.mutable_result()->mutable_activation();
  activation->set_rules(2);
  activation->set_modules(2);
  activation->mutable_values()->Assign(values.begin(), values.end());
  return job;
}

TEST(ModuleExhibitsTest, MapsShowSharesUnderEachRule) {
  EXPECT_FALSE(Activations({}, v1::LAST).has_value());
  // The second module serves the first rule.
  const auto exhibit = Activations(
      {AJob(v1::MODULAR, {0, 0.5, 0.375, 0.125}), AJob(v1::GT_MODULAR, {0.5, 0, 0, 0.5})},
      v1::LAST);
  ASSERT_TRUE(exhibit.has_value());
  const auto& panels = std::get<std::vector<HeatPanel>>(exhibit->figure.panels);
  ASSERT_EQ(panels.size(), 2u);
  EXPECT_EQ(panels[0].title, "MLP regression, modular");
  EXPECT_THAT(panels[0].columns, ElementsAre("1", "0"));
  EXPECT_THAT(panels[0].values, ElementsAre(ElementsAre(1, 0), ElementsAre(0.25, 0.75)));
  EXPECT_THAT(panels[1].values, ElementsAre(ElementsAre(1, 0), ElementsAre(0, 1)));
  EXPECT_TRUE(CheckFigure(exhibit->figure).ok());
}

TEST(ModuleExhibitsTest, TheBestWeightsHaveTheirOwnMatrix) {
  v1::Job job = AJob(v1::MODULAR, {0.5, 0, 0, 0.5});
  EXPECT_EQ(JobActivation(job, v1::LAST), &job.result().activation());
  EXPECT_EQ(JobActivation(job, v1::BEST), nullptr);
  job.mutable_result()->mutable_best();  // it is the last
  EXPECT_EQ(JobActivation(job, v1::BEST), &job.result().activation());
  job.mutable_result()->mutable_best()->add_metrics();
  job.mutable_result()->mutable_best()->mutable_activation();
  EXPECT_EQ(JobActivation(job, v1::BEST), &job.result().best().activation());
  EXPECT_EQ(JobActivation(v1::Job(), v1::LAST), nullptr);
}

void AddVotes(const std::string& architecture, v1::Contest contest, v1::Metric metric,
              double modular, int settings, v1::RankModelsResponse* response) {
  v1::RankRow* row = response->add_rows();
  if (!architecture.empty()) row->add_group(architecture);
  row->set_contest(contest);
  row->set_metric(metric);
  row->set_settings(settings);
  v1::Votes* votes = row->add_votes();
  votes->set_model(v1::MONOLITHIC);
  votes->set_votes(settings - modular);
  votes = row->add_votes();
  votes->set_model(v1::MODULAR);
  votes->set_votes(modular);
}

TEST(ModuleExhibitsTest, PiesCountHalves) {
  const auto overall = AskVotesOverall(kScope);
  const auto apart = AskVotesByArchitecture(kScope);
  v1::RankModelsResponse all;
  v1::RankModelsResponse each;
  AddVotes("", v1::ALL_MODELS, v1::ID, 1.5, 3, &all);
  AddVotes("mlp", v1::ALL_MODELS, v1::ID, 1.5, 3, &each);
  auto exhibit = VotesOfSettings(overall, all, apart, each);
  ASSERT_TRUE(exhibit.has_value());
  // One architecture is all.
  auto panels = std::get<std::vector<PiePanel>>(exhibit->figure.panels);
  ASSERT_EQ(panels.size(), 1u);
  EXPECT_EQ(panels[0].title, "MLP, ID");
  EXPECT_EQ(panels[0].shares[1].name, "modular");
  EXPECT_EQ(panels[0].shares[1].count, 1.5);

  AddVotes("rnn", v1::MODULAR_AGAINST_MONOLITHIC, v1::OOD, 1, 4, &each);
  exhibit = VotesOfSettings(overall, all, apart, each);
  panels = std::get<std::vector<PiePanel>>(exhibit->figure.panels);
  EXPECT_EQ(exhibit->figure.columns, 2);
  ASSERT_EQ(panels.size(), 6u);  // rows of All, MLP, RNN
  EXPECT_TRUE(panels[1].shares.empty());
  EXPECT_EQ(panels[5].title, "RNN, OoD, two types");
}

TEST(ModuleExhibitsTest, TheCaptionCountsWhatHasNoVote) {
  v1::RankModelsResponse all;
  v1::RankModelsResponse each;
  AddVotes("", v1::ALL_MODELS, v1::ID, 1, 3, &all);
  AddVotes("mlp", v1::ALL_MODELS, v1::ID, 1, 3, &each);
  const auto caption = [&] {
    return VotesOfSettings(AskVotesOverall(kScope), all, AskVotesByArchitecture(kScope), each)
        ->caption;
  };
  EXPECT_THAT(caption(), EndsWith("finished a model seed in common."));
  all.mutable_rows(0)->set_settings_undecided(2);
  all.add_left_out()->set_jobs(4);
  all.add_left_out()->set_jobs(1);
  EXPECT_THAT(caption(), HasSubstr(" 2 settings could not be decided. 5 jobs have no vote"));
}

TEST(ModuleExhibitsTest, UndecidedSettingsMakeNoPie) {
  v1::RankModelsResponse all;
  AddVotes("", v1::ALL_MODELS, v1::ID, 0, 0, &all);
  EXPECT_FALSE(VotesOfSettings(AskVotesOverall(kScope), all, AskVotesByArchitecture(kScope), {})
                   .has_value());
}

}  // namespace
}  // namespace modlab
