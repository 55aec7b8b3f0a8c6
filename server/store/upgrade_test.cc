// Databases of earlier versions: all that is in them is there after Open(), and can
// be gone on with.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "server/store/schema.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What testdata/version_1.sql holds of weights: job, last, best ("" for none).
struct Weights {
  int64_t job;
  const char* last;
  const char* best;
};
constexpr Weights kWeights[] = {
    {1, "3883921103d05b6cf6143c8b3b66e3fb3fb55ab508253b8daa166f23c65082cd", ""},
    {2, "4a8973c89ddf91f8421dd5c56facab54260cf2b251388a0a32604eae101bf1e6",
     "d7c4297609eadf5db25307992862b5efb3a9e97575da21c435ec4bbab738e25a"},
    {3, "0a1543e53fcddea048c64b3d6cd9fe39c0661e9890f6eb24140e31f15004204f", ""},
    {4, "ce7b6a1e533b86dc3cebed87619301c6077838fde861bc6e2e2a3e243b46fef5",
     "8476ee213b4ee0b8e1a70399ce6ac3579944933838c0cc491e70d51692fa858a"},
    {5, "94555bbd88e24f52289edbf52040e1d08a10e8b27b935d5b24a0509cc9ee35fa", ""},
    {6, "40aca078d005703bbd7f25f493b34fb8e4c85ebdd4918f643fc25d92c39be5a1",
     "d0f56a5b858666911da39b5db6964018fddce7bed894ff30e25065a5556b83f0"},
};

constexpr int64_t kEver = std::numeric_limits<int64_t>::max();

class UpgradeTest : public testing::Test {
 protected:
  UpgradeTest() {
    std::ifstream file(MODLAB_TESTDATA "/version_1.sql");
    const std::string sql((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(Raw()->Execute(sql), absl::OkStatus());
    AddFile(kWeights[0].last, 100);
    AddFile(kWeights[1].best, 20);
  }

  std::unique_ptr<Connection> Raw() {
    return *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
  }

  void AddFile(const std::string& sha256, size_t size) {
    const std::string dir = dir_.path() + "/artifacts/" + sha256.substr(0, 2);
    std::filesystem::create_directories(dir);
    std::ofstream(dir + "/" + sha256) << std::string(size, 'x');
  }

  std::unique_ptr<Store> Open() {
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(dir_.path());
    EXPECT_EQ(store.status(), absl::OkStatus());
    return *std::move(store);
  }

  static int64_t Number(Connection* connection, const std::string& sql) {
    Statement statement = connection->Prepare(sql);
    EXPECT_TRUE(statement.Step().value());
    return statement.Int(0);
  }

  ScratchDir dir_;
};

TEST_F(UpgradeTest, SweepsAreAsTheyWere) {
  const auto store = Open();
  std::vector<std::string> ids;
  const v1::ListSweepsResponse sweeps = *store->ListSweeps(10, "");
  for (const v1::Sweep& sweep : sweeps.sweeps()) ids.push_back(sweep.id());
  EXPECT_THAT(ids, ElementsAre("first-2", "long-1", "stopped-1", "shared-1", "first-1"));
  const v1::Sweep first = *store->GetSweep("first-1");
  EXPECT_EQ(first.created_us(), 1795335266658284);
  EXPECT_EQ(first.spec().defaults().iterations(), 40);
  EXPECT_EQ(first.spec().grids_size(), 1);
  EXPECT_EQ(first.counts().succeeded(), 4);
  EXPECT_EQ(first.user(), "");
  EXPECT_EQ(first.policy().SerializeAsString(), "");
  EXPECT_EQ(store->GetSweep("stopped")->cancelled_us(), 1795335272838520);
  EXPECT_EQ(store->GetSweep("stopped")->counts().cancelled(), 2);
  const v1::JobCounts counts = store->GetSweep("long")->counts();
  EXPECT_EQ(counts.queued(), 1);
  EXPECT_EQ(counts.running(), 1);
  EXPECT_EQ(counts.failed(), 1);
}

TEST_F(UpgradeTest, JobsAreAsTheyWere) {
  const auto store = Open();
  std::vector<v1::Job> jobs;
  ASSERT_TRUE(store
                  ->ScanJobs("", {}, 0,
                             [&](const v1::Job& job) {
                               jobs.push_back(job);
                               return true;
                             })
                  .ok());
  ASSERT_EQ(jobs.size(), 11u);
  for (const v1::Job& job : jobs) {
    EXPECT_EQ(job.job_key(), JobKey(job.config()));
    EXPECT_EQ(job.shape_key(), ShapeKey(job.config()));
    EXPECT_FALSE(job.has_checkpoint());
    EXPECT_EQ(job.not_before_us(), 0);
    EXPECT_THAT(*store->ReadEvents(job.id()), IsEmpty());
  }
  for (const Weights& weights : kWeights) {
    const v1::Job& job = jobs[static_cast<size_t>(weights.job - 1)];
    EXPECT_EQ(job.state(), v1::SUCCEEDED);
    EXPECT_EQ(job.result().checkpoint_sha256(), weights.last);
    EXPECT_EQ(job.result().best().checkpoint_sha256(), weights.best);
    EXPECT_GT(job.result().metrics_size(), 4);
  }
  const v1::Job& failed = jobs[8];
  EXPECT_EQ(failed.state(), v1::FAILED);
  EXPECT_EQ(failed.failure().cause(), v1::WORKER_LOST);
  EXPECT_EQ(failed.failure().message(), "worker w-2 stopped answering");
  EXPECT_EQ(failed.attempt(), 2);
  const v1::Job& running = jobs[9];
  EXPECT_EQ(running.state(), v1::RUNNING);
  EXPECT_EQ(running.failures(), 1);
  EXPECT_EQ(running.worker(), "w-4");
  EXPECT_EQ(running.iteration(), 4000);
  EXPECT_EQ(jobs[6].state(), v1::CANCELLED);
  EXPECT_EQ(jobs[10].state(), v1::QUEUED);
}

TEST_F(UpgradeTest, CurvesAreAsTheyWere) {
  const auto store = Open();
  const std::vector<v1::CurvePoint> points = *store->ReadCurve(6);
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].iteration(), 0);
  EXPECT_EQ(points[2].iteration(), 40);
  EXPECT_EQ(points[2].activation().values_size(), 4);
  EXPECT_EQ(points[2].values(0).metric(), v1::EVAL_LOSS);
  EXPECT_EQ(store->ReadCurve(10)->size(), 3u);
  EXPECT_EQ(store->ReadCurve(7)->size(), 1u);
  EXPECT_THAT(*store->ReadCurve(11), IsEmpty());
}

TEST_F(UpgradeTest, TheQueueFindsItsWork) {
  const auto store = Open();
  std::vector<std::string> sweeps;
  ASSERT_TRUE(store->writer()
                  ->LoadSweeps([&](const QueuedSweep& sweep) { sweeps.push_back(sweep.id); })
                  .ok());
  EXPECT_THAT(sweeps, ElementsAre("long-1"));
  std::vector<UnfinishedJob> jobs;
  ASSERT_TRUE(
      store->writer()->LoadUnfinished([&](const UnfinishedJob& job) { jobs.push_back(job); }).ok());
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, 10);
  EXPECT_EQ(jobs[0].attempt, 2);
  EXPECT_EQ(jobs[0].failures, 1);
  EXPECT_NE(jobs[0].worker_id, "");
  EXPECT_EQ(jobs[0].checkpoint.sha256(), "");
  EXPECT_THAT(jobs[0].sweeps, ElementsAre(4));
  EXPECT_EQ(jobs[1].id, 11);
}

TEST_F(UpgradeTest, WeightsOfResultsAreNeeded) {
  const auto store = Open();
  Store::Writer* writer = store->writer();
  ASSERT_TRUE(writer->Begin().ok());
  EXPECT_EQ(*writer->ArtifactBytes(), 120);  // of the files that are there
  EXPECT_THAT(*writer->FindGarbage(kEver, 100), IsEmpty());
  for (const Weights& weights : kWeights) {
    EXPECT_FALSE(writer->ForgetArtifact(weights.last).ok());
    if (*weights.best == '\0') continue;
    EXPECT_FALSE(writer->ForgetArtifact(weights.best).ok());
  }
  v1::PruneRequest prune;
  prune.set_sweep("first-2");
  EXPECT_EQ(writer->Prune(prune, 0)->jobs(), 0);  // first-1 has the same
  prune.set_sweep("first-1");
  const v1::PruneResponse pruned = *writer->Prune(prune, 0);
  EXPECT_EQ(pruned.jobs(), 2);  // shared-1 has the others
  EXPECT_EQ(pruned.artifacts(), 3);
  EXPECT_EQ(pruned.artifact_bytes(), 120);
  EXPECT_EQ(writer->FindGarbage(kEver, 100)->size(), 3u);
  ASSERT_TRUE(writer->Commit().ok());
}

TEST_F(UpgradeTest, WorkGoesOn) {
  const auto store = Open();
  Store::Writer* writer = store->writer();
  ASSERT_TRUE(writer->Begin().ok());
  v1::SweepSpec spec;
  spec.set_name("first");
  EXPECT_EQ(writer->InsertSweep(spec, {}, "ada", "new", 1)->id, "first-3");
  EXPECT_EQ(writer->StartAttempt(11, 1, "w", "w-9", "p", 2), absl::OkStatus());
  EXPECT_EQ(writer->RetryJob(9, "again", 3), absl::OkStatus());
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(store->GetJob(11)->worker(), "w-9");
  EXPECT_EQ(store->ReadEvents(9)->size(), 1u);
}

TEST_F(UpgradeTest, NothingIsBrokenByIt) {
  Open();
  const auto connection = Raw();
  EXPECT_EQ(Number(connection.get(), "PRAGMA user_version"), 5);
  EXPECT_EQ(Number(connection.get(), "SELECT count(*) FROM pragma_foreign_key_check"), 0);
  EXPECT_EQ(Number(connection.get(),
                   "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
            1);
  EXPECT_EQ(Number(connection.get(), "SELECT count(*) FROM artifacts"), 9);
  EXPECT_EQ(Number(connection.get(), "SELECT count(*) FROM artifacts WHERE size_bytes IS NULL"), 7);
  EXPECT_EQ(Number(connection.get(),
                   "SELECT count(*) FROM artifacts AS a WHERE refs <>"
                   "  (SELECT count(*) FROM artifact_refs AS r WHERE r.sha256 = a.sha256)"),
            0);
}

// The older modlab can still be used on it.
TEST_F(UpgradeTest, AFailedUpgradeLeavesTheOldVersion) {
  ASSERT_EQ(Raw()->Execute("UPDATE results SET result = x'ffff' WHERE job = 5"), absl::OkStatus());
  const absl::Status status = Store::Open(dir_.path()).status();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kInternal));
  EXPECT_THAT(std::string(status.message()), HasSubstr("JobResult"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir_.path()));
  const auto connection = Raw();
  EXPECT_EQ(Number(connection.get(), "PRAGMA user_version"), 1);
  EXPECT_EQ(
      Number(connection.get(), "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%artifact%'"),
      0);
  EXPECT_EQ(Number(connection.get(), "SELECT count(*) FROM pragma_table_info('jobs')"), 16);
  EXPECT_EQ(Number(connection.get(), "SELECT count(*) FROM jobs"), 11);
}

// As the file says it was made: the schema that upgrades begin with is that of version 1.
TEST_F(UpgradeTest, TheFirstMigrationMakesVersionOne) {
  ScratchDir dir;
  const auto fresh =
      *Connection::Open(dir.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
  ASSERT_EQ(Migrate(fresh.get(), {Migrations()[0]}), absl::OkStatus());
  const auto old = Raw();
  const auto schema = [](Connection* connection) {
    std::string all;
    Statement row = connection->Prepare(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        "  ORDER BY name");
    while (*row.Step()) absl::StrAppend(&all, row.Text(0), "\n");
    return all;
  };
  EXPECT_EQ(schema(fresh.get()), schema(old.get()));
}

// -- from version 2 and 3 ----------------------------------------------------------------

class LaterUpgradeTest : public testing::TestWithParam<int> {
 protected:
  LaterUpgradeTest() {
    std::ifstream file(MODLAB_TESTDATA "/version_3.sql");
    const std::string sql((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(Raw()->Execute(sql), absl::OkStatus());
    if (GetParam() > 2) return;
    EXPECT_EQ(Raw()->Execute("DROP TABLE drain_requests; PRAGMA user_version = 2"),
              absl::OkStatus());
  }

  std::unique_ptr<Connection> Raw() {
    return *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
  }

  std::unique_ptr<Store> Open() {
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(dir_.path());
    EXPECT_EQ(store.status(), absl::OkStatus());
    return *std::move(store);
  }

  // Of a job, as the rows of before say; that of submissions and leases they knew no reason.
  std::vector<std::string> OldEvents(int64_t job) {
    const auto raw = Raw();
    Statement row = raw->Prepare(
        "SELECT time_us, kind, attempt, worker, iteration,"
        "       CASE kind WHEN 1 THEN (SELECT 'by ' || user || ', in sweep ' || id FROM sweep_jobs"
        "                                JOIN sweeps ON number = sweep"
        "                                WHERE sweep_jobs.job = job_events.job)"
        "                 WHEN 2 THEN iif(iteration = 0, 'from the beginning',"
        "                                 'from its checkpoint at iteration ' || iteration)"
        "                 ELSE reason END, cause"
        "  FROM job_events WHERE job = ? ORDER BY n");
    row.Bind(job);
    std::vector<std::string> events;
    while (*row.Step()) {
      events.push_back(absl::StrCat(row.Int(0), " ", row.Int(1), " ", row.Int(2), " ", row.Text(3),
                                    " ", row.Int(4), " ", row.Text(5), " ", row.Int(6)));
    }
    return events;
  }
  static std::vector<std::string> Events(Store* store, int64_t job) {
    std::vector<std::string> events;
    const std::vector<v1::JobEvent> all = *store->ReadEvents(job);
    for (const v1::JobEvent& event : all) {
      events.push_back(absl::StrCat(event.time_us(), " ", event.kind(), " ", event.attempt(), " ",
                                    event.worker(), " ", event.iteration(), " ", event.reason(),
                                    " ", event.cause()));
    }
    return events;
  }

  std::vector<std::string> OldPoints(int64_t job) {
    const auto raw = Raw();
    Statement row =
        raw->Prepare("SELECT point FROM curve_points WHERE job_id = ? ORDER BY iteration");
    row.Bind(job);
    std::vector<std::string> points;
    while (*row.Step()) points.emplace_back(row.Blob(0));
    return points;
  }
  static std::vector<std::string> Points(Store* store, int64_t job) {
    std::vector<std::string> points;
    const std::vector<v1::CurvePoint> all = *store->ReadCurve(job);
    for (const v1::CurvePoint& point : all) points.push_back(point.SerializeAsString());
    return points;
  }

  static constexpr int64_t kJobs = 9;
  ScratchDir dir_;
};

TEST_P(LaterUpgradeTest, EventsAndPointsAreAsTheyWere) {
  std::vector<std::vector<std::string>> events, points;
  for (int64_t job = 1; job <= kJobs; ++job) {
    events.push_back(OldEvents(job));
    points.push_back(OldPoints(job));
    EXPECT_FALSE(events.back().empty());
  }
  EXPECT_EQ(points[2].size(), 3u);
  const auto store = Open();
  for (int64_t job = 1; job <= kJobs; ++job) {
    EXPECT_EQ(Events(store.get(), job), events[static_cast<size_t>(job - 1)]) << "job " << job;
    EXPECT_EQ(Points(store.get(), job), points[static_cast<size_t>(job - 1)]) << "job " << job;
  }
  // An ordinary life takes no rows any more.
  const auto raw = Raw();
  Statement rows = raw->Prepare("SELECT 1 FROM job_events JOIN jobs ON id = job WHERE state = 3");
  EXPECT_FALSE(*rows.Step());
}

TEST_P(LaterUpgradeTest, WorkGoesOn) {
  const auto store = Open();
  Store::Writer* writer = store->writer();
  // Job 6 runs, from iteration 906; it has a newer checkpoint.
  const std::vector<std::string> before = Events(store.get(), 6);
  ASSERT_TRUE(writer->Begin().ok());
  EXPECT_EQ(writer->ReleaseJob(6, 2000, "drained", 7), absl::OkStatus());
  EXPECT_EQ(writer->StartAttempt(6, 4, "w", "w-9", "p", 8), absl::OkStatus());
  EXPECT_EQ(writer->FinishJob(6, v1::JobResult(), 9), absl::OkStatus());
  ASSERT_TRUE(writer->Commit().ok());
  std::vector<std::string> after = Events(store.get(), 6);
  ASSERT_EQ(after.size(), before.size() + 3);
  EXPECT_EQ(after[before.size()], "7 3 3 w-3 2000 drained 0");
  EXPECT_EQ(after[before.size() + 1], "8 2 4 w-9 1530 from its checkpoint at iteration 1530 0");
  EXPECT_EQ(after[before.size() + 2], "9 6 4 w-9 4000000  0");
  after.resize(before.size());
  EXPECT_EQ(after, before);
}

TEST_P(LaterUpgradeTest, VersionFourKnowsNoQuarantinesYet) {
  Open();
  ASSERT_EQ(Raw()->Execute("DROP TABLE quarantines; PRAGMA user_version = 4"), absl::OkStatus());
  const auto store = Open();
  Store::Writer* writer = store->writer();
  const auto places = [writer] {
    std::vector<std::string> found;
    EXPECT_TRUE(writer
                    ->LoadQuarantines([&found](const Quarantine& quarantine) {
                      found.push_back(quarantine.place);
                    })
                    .ok());
    return found;
  };
  EXPECT_THAT(places(), IsEmpty());
  ASSERT_TRUE(writer->Begin().ok());
  EXPECT_EQ(writer->KeepQuarantine({"node-1/cpu", 3, 900, "it broke"}, 0), absl::OkStatus());
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_THAT(places(), ElementsAre("node-1/cpu"));
}

INSTANTIATE_TEST_SUITE_P(Versions, LaterUpgradeTest, testing::Values(2, 3));

}  // namespace
}  // namespace modlab
