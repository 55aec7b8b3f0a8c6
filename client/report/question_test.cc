#include "client/report/question.h"

#include <gtest/gtest.h>

#include <string>

namespace modlab {
namespace {

v1::FieldFilter Filter(const std::string& field, const std::vector<std::string>& values) {
  v1::FieldFilter filter;
  filter.set_field(field);
  filter.mutable_values()->Assign(values.begin(), values.end());
  return filter;
}

TEST(QuestionTest, ACommandAsksWhatTheRequestDoes) {
  Scope scope;
  scope.sweep = "quickstart-1";
  EXPECT_EQ(CommandText(AskResults(scope, {"model", "rules"}, {"id", "ood"})),
            "modlab results quickstart-1 --group-by model,rules --metrics id,ood");
  EXPECT_EQ(CommandText(AskCurves(scope, {"model"}, "eval_loss")),
            "modlab curves quickstart-1 --group-by model --metric eval_loss");
  EXPECT_EQ(CommandText(AskRank(scope, {})), "modlab rank quickstart-1 --group-by ''");

  scope.filters = {Filter("rules", {"2", "4"}), Filter("model", {"modular"})};
  scope.checkpoint = v1::BEST;
  EXPECT_EQ(CommandText(AskResults(scope, {"model"}, {"id"})),
            "modlab results quickstart-1 --group-by model --metrics id --where rules=2,4 --where "
            "model=modular --checkpoint best");
  EXPECT_EQ(CommandText(AskRank(scope, {"rules"})),
            "modlab rank quickstart-1 --group-by rules --where rules=2,4 --where model=modular "
            "--checkpoint best");
  // Curves are of training, not of a checkpoint.
  EXPECT_EQ(CommandText(AskCurves(scope, {"model"}, "eval_loss")),
            "modlab curves quickstart-1 --group-by model --metric eval_loss --where rules=2,4 "
            "--where model=modular");
}

TEST(QuestionTest, WordsAreQuotedForAShell) {
  EXPECT_EQ(WhereText({Filter("learning_rate", {"1e-3"})}), " --where learning_rate=1e-3");
  EXPECT_EQ(WhereText({Filter("model", {"a b", "$x"})}), " --where 'model=a b,$x'");
  EXPECT_EQ(WhereText({Filter("model", {"it's"})}), " --where 'model=it'\\''s'");
}

}  // namespace
}  // namespace modlab
