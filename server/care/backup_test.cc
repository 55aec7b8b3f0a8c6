#include "server/care/backup.h"

#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "lib/config/sha256.h"
#include "server/care/care_fixture.h"
#include "server/care/restore.h"

namespace modlab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

bool GoOn() { return true; }

class BackupTest : public CareFixture {
 protected:
  std::string File() const { return dir_.path() + "/backup"; }
  std::string Elsewhere() const { return dir_.path() + "/elsewhere"; }

  absl::Status Save(bool with_artifacts = true) {
    const auto backup = Backup::Make(dir_.path(), with_artifacts, 9000, GoOn);
    if (!backup.ok()) return backup.status();
    std::ofstream out(File(), std::ios::binary);
    std::string whole;
    for (;;) {
      const absl::StatusOr<std::string> piece = (*backup)->Next(10'000);
      if (!piece.ok()) return piece.status();
      if (piece->empty()) break;
      EXPECT_LE(piece->size(), 10'000u);
      whole += *piece;
    }
    EXPECT_EQ(static_cast<int64_t>(whole.size()), (*backup)->size_bytes());
    EXPECT_EQ((*backup)->FinishHex(), Sha256Hex(whole));
    out << whole;
    return absl::OkStatus();
  }

  Audited AuditElsewhere() const { return AuditIn(Elsewhere(), **Artifacts::Open(Elsewhere())); }

  // By a backup that is being made.
  bool AllArePinned() const {
    int pins = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(ArtifactTemporaryDir(dir_.path()))) {
      if (entry.path().filename().string().size() == 64) ++pins;
    }
    return pins == 4;
  }

  bool TemporaryIsEmpty() const {
    return std::filesystem::is_empty(ArtifactTemporaryDir(dir_.path()));
  }
};

TEST_F(BackupTest, AStoreComesBackAsItWas) {
  const Good good = MakeGoodStore();
  ASSERT_EQ(Save(), absl::OkStatus());
  EXPECT_TRUE(TemporaryIsEmpty());
  const absl::StatusOr<Restored> restored = Restore(File(), Elsewhere(), 10'000);
  ASSERT_EQ(restored.status(), absl::OkStatus());
  EXPECT_EQ(restored->created_us, 9000);
  EXPECT_EQ(restored->sweeps, 1);
  EXPECT_EQ(restored->jobs, 5);
  EXPECT_EQ(restored->unfinished, 2);
  EXPECT_EQ(restored->artifacts, 4);
  EXPECT_TRUE(restored->with_artifacts);

  const Audited audited = AuditElsewhere();
  EXPECT_EQ(audited.status, absl::OkStatus());
  EXPECT_THAT(audited.Lines(), IsEmpty());
  EXPECT_EQ(audited.summary.SerializeAsString(), AuditIt().summary.SerializeAsString());
  const auto there = *Store::Open(Elsewhere());
  EXPECT_EQ(there->GetJob(good.finished)->SerializeAsString(),
            Get(good.finished).SerializeAsString());
  EXPECT_EQ(there->GetSweep("good")->spec().SerializeAsString(),
            store_->GetSweep("good")->spec().SerializeAsString());
}

TEST_F(BackupTest, WhatWasNotFinishedWaitsAndNoEarlierWorkerIsCurrent) {
  const Good good = MakeGoodStore();
  ASSERT_EQ(Save(), absl::OkStatus());
  ASSERT_EQ(Restore(File(), Elsewhere(), 10'000).status(), absl::OkStatus());
  const auto there = *Store::Open(Elsewhere());
  const v1::Job running = *there->GetJob(good.running);
  EXPECT_EQ(running.state(), v1::QUEUED);
  EXPECT_EQ(running.attempt(), 1001);
  EXPECT_EQ(running.iteration(), 60);
  EXPECT_EQ(running.checkpoint().iteration(), 60);
  EXPECT_EQ(there->GetJob(good.failed)->attempt(), 1001);
  EXPECT_EQ(there->GetJob(good.cancelled)->attempt(), 1000);
  EXPECT_EQ(there->GetJob(good.finished)->attempt(), 1);
  const std::vector<v1::JobEvent> events = *there->ReadEvents(good.running);
  EXPECT_EQ(events.back().kind(), v1::RELEASED);
  EXPECT_EQ(events.back().time_us(), 10'000);
  EXPECT_THAT(events.back().reason(), HasSubstr("restored"));
  // Nor is one that holds a job that came after the backup.
  Store::Writer* const writer = there->writer();
  ASSERT_EQ(writer->Begin(), absl::OkStatus());
  const v1::JobConfig config = Config({{"rules", "8"}});
  EXPECT_GT(*InsertJob(writer, config, 0, "", 11'000), kRestoredJobIds);
}

TEST_F(BackupTest, WithoutArtifacts) {
  const Good good = MakeGoodStore();
  ASSERT_EQ(Save(/*with_artifacts=*/false), absl::OkStatus());
  const absl::StatusOr<Restored> restored = Restore(File(), Elsewhere(), 10'000);
  ASSERT_EQ(restored.status(), absl::OkStatus());
  EXPECT_EQ(restored->artifacts, 0);
  EXPECT_FALSE(restored->with_artifacts);
  EXPECT_THAT(AuditElsewhere().Lines(), IsEmpty());
  const auto there = *Store::Open(Elsewhere());
  const v1::Job finished = *there->GetJob(good.finished);
  EXPECT_EQ(finished.result().metrics_size(), Get(good.finished).result().metrics_size());
  EXPECT_EQ(finished.result().checkpoint_sha256(), "");
  EXPECT_EQ(finished.result().best().checkpoint_sha256(), "");
  EXPECT_EQ(there->ReadCurve(good.finished)->size(), 3u);
  const v1::Job queued = *there->GetJob(good.queued);
  EXPECT_FALSE(queued.has_checkpoint());
  EXPECT_EQ(queued.iteration(), 0);
}

TEST_F(BackupTest, WhatNothingRefersToStaysBehind) {
  MakeGoodStore();
  Begin();
  const std::string unused = Put("unused");
  Commit();
  ASSERT_EQ(Save(), absl::OkStatus());
  ASSERT_EQ(Restore(File(), Elsewhere(), 10'000).status(), absl::OkStatus());
  EXPECT_FALSE(std::filesystem::exists(ArtifactPath(Elsewhere(), unused)));
  EXPECT_THAT(AuditElsewhere().Lines(), IsEmpty());
}

TEST_F(BackupTest, WhileAWriterWrites) {
  MakeGoodStore();
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::thread thread([&] {
    for (int i = 0; !stop.load(); ++i) {
      Begin();
      const v1::JobConfig config = Config({{"model_seed", absl::StrCat(1000 + i).c_str()}});
      const int64_t job = AddGrid(absl::StrCat("live", i), config, "rules", {"2"})[0];
      Start(job);
      Checkpoint(job, 10);
      AddPoints(job, config, 100);
      EXPECT_EQ(writer()->FinishJob(job, MakeResult(config), 4000), absl::OkStatus());
      Commit();
      ++written;
    }
  });
  while (written.load() < 3) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) {
    const int before = written.load();
    ASSERT_EQ(Save(), absl::OkStatus());
    std::filesystem::remove_all(Elsewhere());
    ASSERT_EQ(Restore(File(), Elsewhere(), 10'000).status(), absl::OkStatus());
    const Audited audited = AuditElsewhere();
    EXPECT_THAT(audited.Lines(), IsEmpty());
    EXPECT_GE(audited.summary.results(), 1 + before);
    const Audited live = AuditIt();
    EXPECT_THAT(live.Lines(), IsEmpty());
  }
  stop.store(true);
  thread.join();
}

// The coordinator removes what a running backup still has to read.
TEST_F(BackupTest, AnArtifactThatIsCollectedMeanwhile) {
  const Good good = MakeGoodStore();
  const std::string sha256 = Get(good.running).checkpoint().sha256();
  bool collected = false;
  const auto backup = Backup::Make(dir_.path(), true, 9000, [&] {
    // The copying asks; by then the snapshot and its artifacts are fixed.
    if (!collected && !TemporaryIsEmpty() && AllArePinned()) {
      collected = true;
      EXPECT_EQ(artifacts_->Remove(sha256), absl::OkStatus());
    }
    return true;
  });
  EXPECT_TRUE(collected);
  EXPECT_EQ(backup.status(), absl::OkStatus());
}

TEST_F(BackupTest, AnArtifactThatIsMissing) {
  const Good good = MakeGoodStore();
  const std::string sha256 = Get(good.finished).result().checkpoint_sha256();
  std::filesystem::remove(FileOf(sha256));
  const absl::Status status = Save();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(status.message()), HasSubstr(sha256));
  EXPECT_TRUE(TemporaryIsEmpty());
  EXPECT_EQ(Save(/*with_artifacts=*/false), absl::OkStatus());
}

TEST_F(BackupTest, AnArtifactThatIsDamaged) {
  const Good good = MakeGoodStore();
  const std::string sha256 = Get(good.finished).result().checkpoint_sha256();
  std::fstream(FileOf(sha256)) << "L";
  const absl::Status status = Save();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(status.message()), HasSubstr(sha256));
}

TEST_F(BackupTest, EndsWhenNobodyWaits) {
  MakeGoodStore();
  EXPECT_THAT(Backup::Make(dir_.path(), true, 9000, [] { return false; }).status(),
              IsStatus(absl::StatusCode::kCancelled));
  EXPECT_TRUE(TemporaryIsEmpty());
}

TEST_F(BackupTest, AFullDisk) {
  MakeGoodStore();
  Begin();
  v1::SweepSpec spec;
  spec.set_name("big");
  spec.mutable_grids()->Add()->add_axes()->add_values(std::string(4 << 20, 'x'));
  EXPECT_EQ(writer()->InsertSweep(spec, {}, "", "big", 1).status(), absl::OkStatus());
  Commit();
  // Files grow no further, as on a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit limit = before;
  limit.rlim_cur = 1 << 20;
  setrlimit(RLIMIT_FSIZE, &limit);
  const absl::Status status = Backup::Make(dir_.path(), true, 9000, GoOn).status();
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kResourceExhausted));
  EXPECT_TRUE(TemporaryIsEmpty());
  EXPECT_EQ(Save(), absl::OkStatus());
}

// -- restoring ------------------------------------------------------------------------

TEST_F(BackupTest, ADirectoryWithAStoreIsRefused) {
  MakeGoodStore();
  ASSERT_EQ(Save(), absl::OkStatus());
  EXPECT_THAT(Restore(File(), dir_.path(), 1).status(),
              IsStatus(absl::StatusCode::kFailedPrecondition));
}

TEST_F(BackupTest, WhatIsNoBackupIsRefused) {
  MakeGoodStore();
  EXPECT_THAT(Restore(dir_.path() + "/none", Elsewhere(), 1).status(),
              IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Restore(dir_.path() + "/modlab.db", Elsewhere(), 1).status(),
              IsStatus(absl::StatusCode::kInvalidArgument));
  std::ofstream(File()) << std::string(100'000, 'x');
  EXPECT_THAT(Restore(File(), Elsewhere(), 1).status(),
              IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_FALSE(std::filesystem::exists(Elsewhere()));
}

TEST_F(BackupTest, AnArtifactInItThatIsDamaged) {
  MakeGoodStore();
  ASSERT_EQ(Save(), absl::OkStatus());
  const auto connection = *Connection::Open(File(), Connection::Mode::kReadWriteCreate);
  ASSERT_EQ(connection->Execute("UPDATE backup_pieces SET data = x'00' WHERE rowid = 1"),
            absl::OkStatus());
  EXPECT_THAT(Restore(File(), Elsewhere(), 1).status(), IsStatus(absl::StatusCode::kDataLoss));
  EXPECT_FALSE(std::filesystem::exists(Elsewhere() + "/modlab.db"));
}

TEST_F(BackupTest, AFileThatWasCutShort) {
  MakeGoodStore();
  ASSERT_EQ(Save(), absl::OkStatus());
  std::filesystem::resize_file(File(), std::filesystem::file_size(File()) - 4096);
  EXPECT_FALSE(Restore(File(), Elsewhere(), 1).ok());
  EXPECT_FALSE(std::filesystem::exists(Elsewhere() + "/modlab.db"));
}

TEST_F(BackupTest, ANewerSchemaIsRefused) {
  MakeGoodStore();
  ASSERT_EQ(Save(), absl::OkStatus());
  (void)(*Connection::Open(File(), Connection::Mode::kReadWriteCreate))
      ->Execute("PRAGMA user_version = 1000");
  const absl::Status status = Restore(File(), Elsewhere(), 1).status();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(status.message()), HasSubstr("1000"));
}

TEST_F(BackupTest, AfterAFailureItMayBeTriedAgain) {
  MakeGoodStore();
  ASSERT_EQ(Save(), absl::OkStatus());
  std::string damaged = File() + "-damaged";
  std::filesystem::copy_file(File(), damaged);
  (void)(*Connection::Open(damaged, Connection::Mode::kReadWriteCreate))
      ->Execute("UPDATE backup_pieces SET data = x'00' WHERE rowid = 4");
  EXPECT_FALSE(Restore(damaged, Elsewhere(), 1).ok());
  EXPECT_EQ(Restore(File(), Elsewhere(), 1).status(), absl::OkStatus());
  EXPECT_THAT(AuditElsewhere().Lines(), IsEmpty());
}

}  // namespace
}  // namespace modlab
