// A store in use goes on while it is audited.

#include "server/care/care_fixture.h"

namespace modlab {
namespace {

using testing::IsEmpty;

class AuditLiveTest : public CareFixture {
 protected:
  AuditLiveTest() : good_(MakeGoodStore()) {}

  // Lines of damage where `meanwhile` happens after the snapshot was taken, and before
  // artifacts are looked at.
  std::vector<std::string> AuditWhile(const std::function<void()>& meanwhile) {
    std::vector<std::string> lines;
    bool happened = false;
    const absl::Status status =
        Audit(dir_.path(), *artifacts_, {}, [&](const v1::AuditResponse& response) {
          if (!happened) meanwhile();
          happened = true;
          for (const v1::Finding& finding : response.findings()) {
            if (!finding.incomplete()) lines.push_back(finding.kind() + " " + finding.subject());
          }
          return true;
        });
    EXPECT_EQ(status, absl::OkStatus());
    EXPECT_TRUE(happened);
    return lines;
  }

  const Good good_;
};

TEST_F(AuditLiveTest, AnArtifactThatIsCollected) {
  const std::string checkpoint = Get(good_.running).checkpoint().sha256();
  EXPECT_THAT(AuditWhile([&] {
                Begin();
                Checkpoint(good_.running, 70);
                Commit();
                EXPECT_EQ(artifacts_->Remove(checkpoint), absl::OkStatus());
                Begin();
                EXPECT_EQ(writer()->ForgetArtifact(checkpoint), absl::OkStatus());
                Commit();
              }),
              IsEmpty());
}

TEST_F(AuditLiveTest, AnArtifactThatIsLostThoughItIsNeeded) {
  const std::string checkpoint = Get(good_.running).checkpoint().sha256();
  EXPECT_THAT(AuditWhile([&] { EXPECT_EQ(artifacts_->Remove(checkpoint), absl::OkStatus()); }),
              testing::ElementsAre("bad_artifact artifact " + checkpoint));
}

// Or a busy store's log would grow for as long as the files are read.
TEST_F(AuditLiveTest, TheLogCanBeEmptiedWhileFilesAreRead) {
  const auto other =
      *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
  const int64_t jobs = AuditIt().summary.jobs();
  int emptied = 0;
  const absl::Status status =
      Audit(dir_.path(), *artifacts_, {}, [&](const v1::AuditResponse& response) {
        if (response.done() <= jobs) return true;
        Begin();
        AddSweep("meanwhile");
        Commit();
        Statement row = other->Prepare("PRAGMA wal_checkpoint(TRUNCATE)");
        EXPECT_TRUE(*row.Step());
        EXPECT_EQ(row.Int(0), 0) << "a reader holds the log";
        ++emptied;
        return true;
      });
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_GT(emptied, 0);
}

TEST_F(AuditLiveTest, AnArtifactThatArrives) {
  EXPECT_THAT(AuditWhile([&] {
                Begin();
                Put("new");
                Commit();
              }),
              IsEmpty());
}

TEST_F(AuditLiveTest, AJobThatFinishes) {
  const v1::JobConfig config = Get(good_.running).config();
  EXPECT_THAT(AuditWhile([&] {
                Begin();
                AddPoints(good_.running, config, 100);
                EXPECT_EQ(writer()->FinishJob(good_.running, MakeResult(config), 5000),
                          absl::OkStatus());
                Commit();
              }),
              IsEmpty());
  EXPECT_EQ(AuditIt().summary.results(), 2);
}

TEST_F(AuditLiveTest, ASweepThatIsPruned) {
  Begin();
  const v1::JobConfig config = Config({{"rules", "4"}});
  Complete(AddGrid("other", config, "rules", {"4"})[0], config);
  Commit();
  EXPECT_THAT(AuditWhile([&] {
                Begin();
                v1::PruneRequest request;
                request.set_sweep("other");
                EXPECT_EQ(writer()->Prune(request, 0).status(), absl::OkStatus());
                Commit();
              }),
              IsEmpty());
  EXPECT_THAT(AuditIt().Lines(), IsEmpty());
}

}  // namespace
}  // namespace modlab
