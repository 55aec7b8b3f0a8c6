// `modlab report` on real results: the page, its pictures and its numbers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

constexpr char kGrid[] = R"([
  {target: [regression, classification], model: [monolithic, modular, modular_op, gt_modular],
   rules: [2, 4], model_seed: [0, 1]},
  {architecture: rnn, model: [monolithic, modular], rules: 2, activation_batch_size: 20,
   model_seed: [0, 1], validation_batches: 0}])";
constexpr char kMoreGrid[] =
    "{target: [regression, classification], model: [monolithic, modular, modular_op, gt_modular],"
    " rules: [2, 4], model_seed: [0, 1, 2]}";

class ReportTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>();
    cluster_->StartCoordinator();
    Process* worker = cluster_->StartWorker(/*gang=*/8);
    sweep_ = cluster_->Submit(SmallSweep("all", kGrid));
    cluster_->WaitForEnd(sweep_);
    worker->Kill();
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  static std::string Path(const std::string& name) {
    return absl::StrCat(cluster_->dir(), "/", name);
  }

  // Makes NAME.html and returns it.
  static std::string Report(const std::string& sweep, const std::string& name,
                            const std::vector<std::string>& extra = {}) {
    std::vector<std::string> args = {"report", sweep, "-o", Path(name + ".html")};
    args.insert(args.end(), extra.begin(), extra.end());
    const Output output = cluster_->Modlab(args);
    EXPECT_EQ(output.exit_code, 0) << output.err;
    EXPECT_THAT(output.out, HasSubstr(name + ".html: "));
    EXPECT_THAT(output.err, HasSubstr("figure 1 of "));
    return ReadFile(Path(name + ".html"));
  }

  static std::set<std::string> Names(const std::string& dir) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(Path(dir))) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  static std::unique_ptr<Cluster> cluster_;
  static std::string sweep_;
};

std::unique_ptr<Cluster> ReportTest::cluster_;
std::string ReportTest::sweep_;

TEST_F(ReportTest, ShowsEveryFigureOfThePaper) {
  const std::string page = Report(sweep_, "page");
  for (const char* text :
       {"Performance against the number of rules",
        "Collapse and specialisation against the number of rules",
        "Collapse and specialisation overall", "Loss while training", "Accuracy while training",
        "Collapse and alignment while training", "Performance against the length of sequences",
        "Which model type wins most settings", "How rules use modules", "All 36 jobs finished.",
        "No MHA job is finished.", "One size of each architecture", "LibTorch"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  for (const char* model : {"monolithic", "modular", "modular_op", "gt_modular", "random"}) {
    EXPECT_THAT(page, HasSubstr(absl::StrCat("<text>", model, "</text>")));
  }
  // Nothing from outside.
  EXPECT_THAT(page, AllOf(Not(HasSubstr("src=")), Not(HasSubstr("href=\"http")),
                          Not(HasSubstr("<script"))));

  std::set<std::string> expected;
  for (const char* name :
       {"performance-rules", "performance-length", "modules-rules", "modules-overall",
        "training-loss", "training-accuracy", "training-collapse", "votes", "activations"}) {
    for (const char* type : {".svg", ".csv"}) expected.insert(absl::StrCat(name, type));
    EXPECT_THAT(page, HasSubstr(absl::StrCat("download=\"", name, ".csv\"")));
    EXPECT_THAT(ReadFile(Path(absl::StrCat("page-figures/", name, ".svg"))),
                AllOf(HasSubstr("<svg"), HasSubstr("modular"), HasSubstr("</svg>")));
  }
  expected.insert("report-files.sha256");
  EXPECT_EQ(Names("page-figures"), expected);
}

TEST_F(ReportTest, NumbersAreThoseOfTheCommandBelowTheFigure) {
  const std::string page = Report(sweep_, "numbers");
  EXPECT_THAT(page, HasSubstr(absl::StrCat(
                        "modlab results ", sweep_,
                        " --group-by architecture,target,model,rules --metrics id,ood")));
  std::multiset<double> means;
  for (const Json& row :
       cluster_->Rows({"results", sweep_, "--group-by", "architecture,target,model,rules",
                       "--metrics", "id,ood"})) {
    means.insert(row["mean"].get<double>());
    EXPECT_EQ(row["n"], 2);
  }
  std::multiset<double> drawn;
  const std::string csv = ReadFile(Path("numbers-figures/performance-rules.csv"));
  for (const auto& line : absl::StrSplit(csv, "\r\n", absl::SkipEmpty())) {
    // Titles have a comma, and so are quoted: the mean is the fourth from the end.
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    ASSERT_GE(cells.size(), 4u);
    if (cells.back() != "n") drawn.insert(Json::parse(cells[cells.size() - 4]).get<double>());
  }
  EXPECT_EQ(drawn.size(), 2u * (2 * 4 * 2 + 2));
  EXPECT_EQ(drawn, means);
}

TEST_F(ReportTest, SaysWhatIsMissing) {
  const std::string sweep = cluster_->Submit(SmallSweep("more", kMoreGrid));
  const std::string page = Report(sweep, "more", {"--figures", Path("pictures")});
  EXPECT_THAT(page, AllOf(HasSubstr("16 of 48 jobs have no result: 16 are not finished yet"),
                          HasSubstr("<td>queued</td>"), HasSubstr("Settings that lack jobs"),
                          HasSubstr("not finished"), HasSubstr("No RNN job is finished.")));
  EXPECT_EQ(Names("pictures").count("activations.svg"), 1u);
  // The next report there has no maps, and leaves none.
  Report(sweep, "maps", {"--figures", Path("pictures"), "--where", "model=monolithic"});
  EXPECT_EQ(Names("pictures").count("activations.svg"), 0u);

  const std::string part =
      Report(sweep, "part", {"--where", "model=monolithic", "--checkpoint", "best"});
  EXPECT_THAT(part, AllOf(HasSubstr("selected by --where model=monolithic"),
                          HasSubstr("with the best validation"), HasSubstr("No modular model"),
                          HasSubstr("no votes"), HasSubstr("--checkpoint best")));
  EXPECT_EQ(Names("part-figures").count("activations.svg"), 0u);
}

TEST_F(ReportTest, WithoutFinishedJobsItSaysWhatToDo) {
  const std::string sweep = cluster_->Submit(SmallSweep("new", "{model: modular, rules: 8}"));
  Output output = cluster_->Modlab({"report", sweep, "-o", Path("new.html")});
  EXPECT_EQ(output.exit_code, kExitError);
  EXPECT_THAT(output.err, AllOf(HasSubstr("1 queued"), HasSubstr("modlab watch " + sweep)));
  EXPECT_FALSE(std::filesystem::exists(Path("new.html")));

  output = cluster_->Modlab({"report", sweep_, "-o", Path("new.html"), "--where", "rules=77"});
  EXPECT_EQ(output.exit_code, kExitError);
  EXPECT_THAT(output.err, HasSubstr("matches --where rules=77"));
  output = cluster_->Modlab({"report", sweep_, "-o", Path("no/page.html")});
  EXPECT_EQ(output.exit_code, kExitError);
  EXPECT_THAT(output.err, HasSubstr("no/page.html: No such file"));
  output = cluster_->Modlab({"report", sweep_, "-o", Path("new.html"), "--where",
                             "architecture=rnn", "--checkpoint", "best"});
  EXPECT_EQ(output.exit_code, kExitError);
  EXPECT_THAT(output.err, HasSubstr("kept a best checkpoint"));
  output = cluster_->Modlab({"report", "nowhere"});
  EXPECT_EQ(output.exit_code, kExitError);
  EXPECT_THAT(output.err, HasSubstr("nowhere"));
  EXPECT_EQ(cluster_->Modlab({"report"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace modlab::e2e
