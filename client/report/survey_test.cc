#include "client/report/survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "client/report/gaps.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

v1::Job Finished(int64_t id, int rules, std::optional<double> alignment) {
  v1::Job job;
  job.set_id(id);
  job.set_state(v1::SUCCEEDED);
  job.set_finished_us(1000 - id);
  job.mutable_config()->set_architecture(v1::MLP);
  job.mutable_config()->set_target(v1::REGRESSION);
  job.mutable_config()->set_model(v1::MODULAR);
  job.mutable_config()->set_rules(rules);
  v1::Provenance* provenance = job.mutable_result()->mutable_provenance();
  provenance->set_device("cpu");
  provenance->set_device_name("EPYC");
  provenance->set_modlab_version("1.2.3");
  provenance->set_torch_version("2.6.0");
  if (alignment) {
    v1::MetricValue* value = job.mutable_result()->add_metrics();
    value->set_metric(v1::ALIGNMENT);
    value->set_value(*alignment);
  }
  return job;
}

v1::Job Failed(int64_t id, const std::string& message) {
  v1::Job job;
  job.set_id(id);
  job.set_state(v1::FAILED);
  job.mutable_failure()->set_cause(v1::DIVERGED);
  job.mutable_failure()->set_message(message);
  return job;
}

TEST(SurveyTest, TheMedianIsOfTheMostRulesThatFit) {
  Survey survey(v1::LAST);
  EXPECT_TRUE(survey.Medians().empty());
  survey.Add(Finished(1, 64, 0.5));
  survey.Add(Finished(2, 8, 0.5));
  survey.Add(Finished(3, 16, 0.9));
  survey.Add(Finished(4, 16, 0.1));
  survey.Add(Finished(5, 16, 0.4));
  survey.Add(Finished(6, 16, 0.2));
  survey.Add(Finished(7, 8, 0.0));
  survey.Add(Finished(8, 32, std::nullopt));
  const auto medians = survey.Medians();
  ASSERT_EQ(medians.size(), 1u);
  EXPECT_EQ(medians[0].rules, 16);
  EXPECT_EQ(medians[0].job, 6);  // the lower of 0.2 and 0.4
  EXPECT_EQ(medians[0].alignment, 0.2);
  EXPECT_EQ(medians[0].jobs, 4);
}

TEST(SurveyTest, JobsAreCountedByStateReasonAndPlace) {
  Survey survey(v1::LAST);
  survey.Add(Finished(1, 2, 0.5));
  survey.Add(Finished(2, 2, 0.5));
  survey.Add(Failed(3, "loss is NaN"));
  survey.Add(Failed(4, "loss is infinite"));
  v1::Job queued;
  queued.set_state(v1::QUEUED);
  queued.mutable_failure()->set_cause(v1::WORKER_LOST);
  survey.Add(queued);
  EXPECT_EQ(survey.jobs(), 5);
  EXPECT_EQ(survey.finished(), 2);
  EXPECT_THAT(survey.states(),
              ElementsAre(Pair(v1::QUEUED, 1), Pair(v1::SUCCEEDED, 2), Pair(v1::FAILED, 2)));
  ASSERT_EQ(survey.failures().size(), 1u);
  EXPECT_EQ(survey.failures().at(v1::DIVERGED).jobs, 2);
  EXPECT_EQ(survey.failures().at(v1::DIVERGED).job, 3);
  EXPECT_EQ(survey.last_finished_us(), 999);
  EXPECT_THAT(survey.architectures(), ElementsAre(v1::MLP));
  EXPECT_THAT(survey.provenances(),
              ElementsAre(Pair("cpu (EPYC), modlab 1.2.3, LibTorch 2.6.0", 2)));
}

TEST(SurveyTest, WhatIsMissingIsSaid) {
  Survey survey(v1::LAST);
  survey.Add(Finished(1, 2, 0.5));
  v1::RankModelsResponse ranking;
  ReportSection section = WhatIsMissing(survey, ranking, {}, {"No RNN job is finished."});
  EXPECT_THAT(section.paragraphs, ElementsAre("All 1 job finished.", "No RNN job is finished."));
  ASSERT_EQ(section.tables.size(), 1u);  // n of no figure

  survey.Add(Failed(3, std::string(1000, 'x')));
  v1::IncompleteSetting* setting = ranking.add_incomplete();
  setting->add_setting("rules=2");
  setting->add_missing("modular: model seeds 3, 4 not finished, 5 failed");
  ranking.set_incomplete_total(7);
  Exhibit exhibit;
  exhibit.figure.title = "A map";
  exhibit.figure.panels = std::vector<HeatPanel>(1);
  section = WhatIsMissing(survey, ranking, {{"", {}, {}, {exhibit}}}, {});
  EXPECT_THAT(section.paragraphs[0], HasSubstr("1 of 2 jobs has no result: 1 failed."));
  ASSERT_EQ(section.tables.size(), 4u);
  EXPECT_EQ(Csv(section.tables[0].sheet), "state,jobs\r\nsucceeded,1\r\nfailed,1\r\n");
  EXPECT_THAT(Csv(section.tables[1].sheet), HasSubstr("diverged,1,3,xxx"));
  EXPECT_LT(Csv(section.tables[1].sheet).size(), 300u);
  EXPECT_EQ(section.tables[2].title, "Settings that lack jobs (and 6 more)");
  EXPECT_EQ(Csv(section.tables[2].sheet),
            "setting,vote,missing\r\n"
            "rules=2,undecided,\"modular: model seeds 3, 4 not finished, 5 failed\"\r\n");
  EXPECT_EQ(Csv(section.tables[3].sheet), "figure,title,least n,largest n\r\n1,A map,1,1\r\n");
}

TEST(SurveyTest, JobsWithoutVotesOrBestCheckpointsAreNamed) {
  Survey survey(v1::BEST);
  survey.Add(Finished(1, 2, 0.5));
  v1::Job best = Finished(2, 2, 0.5);
  best.mutable_result()->mutable_best();
  survey.Add(best);
  v1::Job job;
  for (const v1::JobState state : {v1::CANCELLED, v1::CANCELLED, v1::QUEUED}) {
    job.set_state(state);
    survey.Add(job);
  }
  EXPECT_EQ(survey.without_best(), 1);
  v1::RankModelsResponse ranking;
  v1::LeftOutVariant* variant = ranking.add_left_out();
  variant->set_model(v1::GT_MODULAR);
  variant->add_choices("modules=3");
  variant->add_choices("scorer=joint");
  variant->set_jobs(12);
  const ReportSection section = WhatIsMissing(survey, ranking, {}, {});
  EXPECT_THAT(section.paragraphs,
              ElementsAre(HasSubstr("3 of 5 jobs have no result: 1 is not finished yet, 2 were "
                                    "cancelled."),
                          HasSubstr("1 finished job kept no best checkpoint")));
  ASSERT_EQ(section.tables.size(), 3u);
  EXPECT_EQ(Csv(section.tables[1].sheet),
            "model,choices,jobs\r\ngt_modular,modules=3 scorer=joint,12\r\n");
}

}  // namespace
}  // namespace modlab
