// Care of the store: audit, verify, backup under load, restore, prune.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "modlab/v1/job.pb.h"
#include "server/store/curve_rows.h"
#include "server/store/sqlite.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sqlite_file.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(150);

// Exit codes of `modlab audit`, `modlabd check` and `modlab verify`.
constexpr int kClean = 0, kDamaged = 1, kIncomplete = 3;

// Jobs of every architecture and model type.
std::string Everything() {
  return SmallSweep(
      "every",
      "\n  - {rules: 2, model: [modular, modular_op, gt_modular, monolithic], model_seed: [0, 1]}"
      "\n  - {architecture: mha, rules: 2, model: [modular, monolithic], target: classification}"
      "\n  - {architecture: rnn, rules: 2, model: [modular, monolithic], input_dim: 4}");
}

// Jobs that take long enough for something to happen meanwhile.
std::string Load(int jobs) {
  return SmallSweep("load", absl::StrCat("{rules: 2, model: modular, iterations: 4000, "
                                         "eval_interval: 100, model_seed: {from: 0, to: ",
                                         jobs - 1, "}}"));
}

class CareTest : public testing::Test {
 protected:
  std::string Database() const { return cluster_.data_dir() + "/modlab.db"; }

  Output Modlabd(std::vector<std::string> args) {
    args.insert(args.begin(), ModlabdPath());
    return RunToEnd(std::move(args), absl::StrCat(cluster_.dir(), "/modlabd-", ++commands_), kLong);
  }

  std::unique_ptr<Connection> OpenDatabase() {
    auto database = *Connection::Open(Database(), Connection::Mode::kReadWriteCreate);
    EXPECT_EQ(database->Execute("PRAGMA busy_timeout = 10000"), absl::OkStatus());
    return database;
  }

  std::vector<v1::CurvePoint> Curve(int64_t job) {
    std::vector<v1::CurvePoint> points;
    EXPECT_EQ(ReadPoints(OpenDatabase().get(), job, &points), absl::OkStatus());
    return points;
  }

  // As only an accident would. The second of a curve's points is that of iteration 20.
  void ChangeCurve(int64_t job, const std::function<void(std::vector<v1::CurvePoint>*)>& change) {
    std::vector<v1::CurvePoint> points = Curve(job);
    ASSERT_GT(points.size(), 1U);
    EXPECT_EQ(points[1].iteration(), 20);
    change(&points);
    std::vector<const v1::CurvePoint*> pointers;
    for (const v1::CurvePoint& point : points) pointers.push_back(&point);
    const auto database = OpenDatabase();
    EXPECT_EQ(RemovePointsAfter(database.get(), job, -1), absl::OkStatus());
    EXPECT_EQ(AppendPoints(database.get(), job, pointers), absl::OkStatus());
  }

  Cluster cluster_;

 private:
  int commands_ = 0;
};

TEST_F(CareTest, TheAuditOfAFinishedSweepIsClean) {
  cluster_.StartCoordinator();
  const std::string sweep = cluster_.Submit(Everything());
  EXPECT_EQ(cluster_.Modlab({"audit", sweep}).exit_code, kIncomplete);
  cluster_.StartWorker(4);
  cluster_.WaitForEnd(sweep);
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"audit"}, {"audit", sweep}, {"audit", "--no-checksums"}}) {
    const Output audit = cluster_.Modlab(args);
    EXPECT_EQ(audit.exit_code, kClean) << audit.out << audit.err;
    EXPECT_THAT(audit.out, HasSubstr("12 configs gave 12 results"));
  }
  EXPECT_EQ(cluster_.Modlab({"audit", "none"}).exit_code, 1);
}

TEST_F(CareTest, TheAuditNamesWhatIsDamaged) {
  Process* coordinator = cluster_.StartCoordinator();
  const std::string sweep = cluster_.Submit(SmallSweep("s", "{rules: 2, model: modular}"));
  cluster_.StartWorker(1);
  cluster_.WaitForEnd(sweep);
  ChangeCurve(1, [](std::vector<v1::CurvePoint>* points) { points->erase(points->begin() + 1); });
  const Output audit = cluster_.Modlab({"audit", "--format", "json"});
  EXPECT_EQ(audit.exit_code, kDamaged);
  const Json findings = Json::parse(audit.out);
  ASSERT_EQ(findings.size(), 1u) << audit.out;
  EXPECT_EQ(findings[0]["finding"], "curve_gap");
  EXPECT_EQ(findings[0]["subject"], "job 1");
  EXPECT_THAT(findings[0]["message"].get<std::string>(), HasSubstr("20"));

  const Output in_use = Modlabd({"check", "--data-dir", cluster_.data_dir()});
  EXPECT_EQ(in_use.exit_code, 1);
  EXPECT_THAT(in_use.err, HasSubstr("in use"));
  coordinator->Signal(SIGTERM);
  EXPECT_EQ(coordinator->Wait().value_or(-1), 0);
  const Output check = Modlabd({"check", "--data-dir", cluster_.data_dir()});
  EXPECT_EQ(check.exit_code, kDamaged);
  EXPECT_THAT(check.out, AllOf(HasSubstr("curve_gap"), HasSubstr("job 1")));
}

// -- verify -----------------------------------------------------------------------

TEST_F(CareTest, TrainedAgainJobsAreTheSameBitForBit) {
  cluster_.StartCoordinator();
  cluster_.StartWorker(4);
  cluster_.StartWorker(1);
  const std::string sweep = cluster_.Submit(Everything());
  cluster_.WaitForEnd(sweep);
  const Output verify =
      cluster_.Modlab({"verify", sweep, "--sample", "6", "--seed", "1", "--format", "json"}, kLong);
  EXPECT_EQ(verify.exit_code, 0) << verify.out << verify.err;
  const Json rows = Json::parse(verify.out);
  EXPECT_EQ(rows.size(), 6u);
  for (const Json& row : rows) {
    EXPECT_EQ(row["compared"], "bit for bit");
    EXPECT_EQ(row["equal"], "yes");
    EXPECT_EQ(row["points"], 4);
    EXPECT_NE(row["job"], row["again"]);
  }
  EXPECT_THAT(verify.err, HasSubstr("verify-every-1"));
  EXPECT_EQ(cluster_.Modlab({"audit"}).exit_code, kClean);
}

TEST_F(CareTest, AnotherBitIsSeen) {
  cluster_.StartCoordinator();
  cluster_.StartWorker(2);
  const std::string sweep =
      cluster_.Submit(SmallSweep("s", "{rules: 2, model: modular, model_seed: [0, 1]}"));
  cluster_.WaitForEnd(sweep);
  const v1::CurvePoint other = Curve(2)[1];
  ChangeCurve(1, [&](std::vector<v1::CurvePoint>* points) { (*points)[1] = other; });
  const Output verify = cluster_.Modlab({"verify", sweep, "--format", "json"}, kLong);
  EXPECT_EQ(verify.exit_code, 1);
  const Json rows = Json::parse(verify.out);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["equal"], "no");
  EXPECT_THAT(rows[0]["difference"].get<std::string>(), HasSubstr("iteration 20"));
  EXPECT_EQ(rows[1]["equal"], "yes");
}

TEST_F(CareTest, AVerificationThatDoesNotFinish) {
  cluster_.StartCoordinator();
  Process* worker = cluster_.StartWorker(1);
  const std::string sweep = cluster_.Submit(SmallSweep("s", "{rules: 2, model: modular}"));
  EXPECT_EQ(cluster_.Modlab({"verify", sweep}).exit_code, 1);  // nothing has finished
  cluster_.WaitForEnd(sweep);
  worker->Kill();
  const std::string out = cluster_.dir() + "/verify";
  Process verify({ModlabPath(), "verify", sweep, "--server", cluster_.address()}, out, out);
  EXPECT_TRUE(WaitUntil([&] { return cluster_.Modlab({"cancel", "verify-s"}).exit_code == 0; }));
  EXPECT_EQ(verify.Wait().value_or(-1), kIncomplete) << ReadFile(out);
}

// -- backup and restore -------------------------------------------------------------

TEST_F(CareTest, BackupsUnderLoad) {
  cluster_.StartCoordinator();
  cluster_.StartWorker(2, {"--checkpoint-seconds", "1"});
  cluster_.StartWorker(2, {"--checkpoint-seconds", "1"});
  const std::string sweep = cluster_.Submit(Load(8));
  int backups = 0;
  const auto save = [&](const std::vector<std::string>& extra) {
    const std::string file = absl::StrCat(cluster_.dir(), "/backup-", ++backups);
    const std::string again = absl::StrCat(cluster_.dir(), "/again-", backups);
    std::vector<std::string> args = {"backup", file};
    args.insert(args.end(), extra.begin(), extra.end());
    const Output backup = cluster_.Modlab(args);
    EXPECT_EQ(backup.exit_code, 0) << backup.err;
    const Output restore = Modlabd({"restore", file, "--data-dir", again});
    EXPECT_EQ(restore.exit_code, 0) << restore.err;
    const int code = Modlabd({"check", "--data-dir", again}).exit_code;
    EXPECT_THAT(code, testing::AnyOf(kClean, kIncomplete));
    EXPECT_NE(cluster_.Modlab({"audit"}).exit_code, kDamaged);
    return code;
  };
  bool unfinished = false;
  while (cluster_.Sweep(sweep).value("succeeded", 0) < 8 && !HasFailure() && backups < 50) {
    unfinished = save({}) == kIncomplete || unfinished;
  }
  EXPECT_TRUE(unfinished) << "the load ended before the first backup";
  EXPECT_EQ(save({}), kClean);
  EXPECT_EQ(save({"--without-artifacts"}), kClean);
  EXPECT_TRUE(std::filesystem::is_empty(cluster_.data_dir() + "/artifacts/tmp"));
}

TEST_F(CareTest, WorkersOfBeforeGoOnWithARestoredStore) {
  Process* coordinator = cluster_.StartCoordinator();
  cluster_.StartWorker(2, {"--checkpoint-seconds", "1"});
  const std::string sweep = cluster_.Submit(Load(4));
  EXPECT_TRUE(cluster_.WaitForSweep(
      sweep, [](const Json& now) { return now.value("iterations_done", 0) > 500; }));
  const std::string file = cluster_.dir() + "/backup";
  const Output backup = cluster_.Modlab({"backup", file});
  EXPECT_EQ(backup.exit_code, 0) << backup.err;
  // Jobs that the backup does not know, and that workers hold.
  cluster_.Submit(SmallSweep("later", "{rules: 4, model: modular, iterations: 100000}"));
  cluster_.WaitForSweep("later", [](const Json& now) { return now.value("running", 0) > 0; });
  coordinator->Kill();
  std::filesystem::rename(cluster_.data_dir(), cluster_.dir() + "/lost");
  const Output restore = Modlabd({"restore", file, "--data-dir", cluster_.data_dir()});
  EXPECT_EQ(restore.exit_code, 0) << restore.err;
  EXPECT_THAT(restore.out, HasSubstr("go on from their checkpoints"));
  cluster_.StartCoordinator();
  const Json end = cluster_.WaitForEnd(sweep, kLong);
  EXPECT_EQ(end.value("succeeded", 0), 4) << end.dump();
  EXPECT_EQ(cluster_.Modlab({"audit"}).exit_code, kClean);
  const std::map<std::string, Json> restored = Science(cluster_.Rows({"export", sweep}));

  Cluster undisturbed;
  undisturbed.StartCoordinator();
  undisturbed.StartWorker(2);
  undisturbed.Submit(Load(4));
  undisturbed.WaitForEnd("load", kLong);
  EXPECT_EQ(restored, Science(undisturbed.Rows({"export", "load"})));
}

TEST_F(CareTest, ARestoreHarmsNoStore) {
  Process* coordinator = cluster_.StartCoordinator();
  cluster_.Submit(SmallSweep("s", "{rules: 2, model: modular}"));
  const std::string file = cluster_.dir() + "/backup";
  EXPECT_EQ(cluster_.Modlab({"backup", file}).exit_code, 0);
  const Output refused = Modlabd({"restore", file, "--data-dir", cluster_.data_dir()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("has a store already"));
  const Output no_backup =
      Modlabd({"restore", ModlabPath(), "--data-dir", cluster_.dir() + "/new"});
  EXPECT_EQ(no_backup.exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(cluster_.dir() + "/new"));
  EXPECT_TRUE(coordinator->running());
  EXPECT_EQ(cluster_.Rows({"ls"}).size(), 1u);
}

// -- prune ----------------------------------------------------------------------------

TEST_F(CareTest, Prune) {
  cluster_.StartCoordinator();
  cluster_.StartWorker(2);
  const std::string one =
      cluster_.Submit(SmallSweep("one", "{rules: 2, model: [modular, gt_modular]}"));
  const std::string two =
      cluster_.Submit(SmallSweep("two", "{rules: 2, model: [modular, monolithic]}"));
  cluster_.WaitForEnd(one);
  cluster_.WaitForEnd(two);

  const Output asks = cluster_.Modlab({"prune", one});
  EXPECT_EQ(asks.exit_code, 2);
  EXPECT_THAT(asks.err, HasSubstr("--yes"));
  EXPECT_EQ(cluster_.Modlab({"prune", "--yes"}).exit_code, 2);  // what?
  EXPECT_THAT(cluster_.Modlab({"prune", "--older-than", "1d", "--yes"}).out,
              HasSubstr("nothing to prune"));
  EXPECT_EQ(cluster_.Rows({"ls"}).size(), 2u);

  EXPECT_EQ(cluster_.Modlab({"prune", one, "--weights-only", "--yes"}).exit_code, 0);
  const Json pruned = cluster_.Rows({"export", one, "--where", "model=gt_modular"})[0];
  const Output get = cluster_.Modlab({"artifacts", "get", pruned["job"].dump()});
  EXPECT_EQ(get.exit_code, 1);
  EXPECT_THAT(get.err, HasSubstr("its weights are not kept any more"));
  // Nothing of it is left to be cancelled.
  EXPECT_THAT(cluster_.Modlab({"cancel", one}).out, HasSubstr("nothing was changed"));
  EXPECT_EQ(cluster_.Modlab({"pause", one}).exit_code, 0);
  EXPECT_EQ(cluster_.Modlab({"audit"}).exit_code, kClean);
  const Output removed = cluster_.Modlab({"prune", one, "--yes"});
  EXPECT_EQ(removed.exit_code, 0) << removed.err;
  EXPECT_THAT(removed.out, HasSubstr("1 sweep with 1 job"));  // the other is shared
  EXPECT_EQ(cluster_.Rows({"ls"}).size(), 1u);
  EXPECT_EQ(cluster_.Rows({"export", two}).size(), 2u);
  EXPECT_EQ(cluster_.Modlab({"audit"}).exit_code, kClean);
}

}  // namespace
}  // namespace modlab::e2e
