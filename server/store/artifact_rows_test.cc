// Which artifacts are needed, and which are garbage.

#include <cstdint>
#include <string>
#include <vector>

#include "server/store/store.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr int64_t kLate = 1'000'000;

class ArtifactRowsTest : public StoreFixture {
 protected:
  static std::string Sha(char letter) { return std::string(64, letter); }

  std::vector<std::string> Garbage(int64_t before_us = kLate, int count_max = 1000) {
    const auto garbage = writer()->FindGarbage(before_us, count_max);
    EXPECT_EQ(garbage.status(), absl::OkStatus());
    return garbage.ok() ? *garbage : std::vector<std::string>();
  }

  // "" for none.
  static v1::JobResult Result(const std::string& last, const std::string& best) {
    v1::JobResult result;
    result.set_checkpoint_sha256(last);
    if (!best.empty()) result.mutable_best()->set_checkpoint_sha256(best);
    return result;
  }

  int64_t AddRunningJob(const char* seed) {
    const int64_t id = AddJob("s", Config({{"model_seed", seed}}));
    Start(id);
    return id;
  }

  void SetUp() override {
    Begin();
    AddSweep("s");
  }
};

TEST_F(ArtifactRowsTest, WhatNothingRefersToIsGarbageOnceItIsOld) {
  AddArtifact('a', 100);
  AddArtifact('b', 300);
  AddArtifact('c', 200);
  EXPECT_THAT(Garbage(100), IsEmpty());
  EXPECT_THAT(Garbage(101), ElementsAre(Sha('a')));
  EXPECT_THAT(Garbage(), ElementsAre(Sha('a'), Sha('c'), Sha('b')));
  EXPECT_THAT(Garbage(kLate, 2), ElementsAre(Sha('a'), Sha('c')));
  AddArtifact('a', 400);  // uploaded again
  EXPECT_THAT(Garbage(400), ElementsAre(Sha('c'), Sha('b')));
  AddArtifact('a', 50);  // time never runs backwards
  EXPECT_THAT(Garbage(400), ElementsAre(Sha('c'), Sha('b')));
}

TEST_F(ArtifactRowsTest, BytesAreThoseOfAllRows) {
  EXPECT_EQ(*writer()->ArtifactBytes(), 0);
  ASSERT_TRUE(writer()->RegisterArtifact(Sha('a'), 1000, 1).ok());
  ASSERT_TRUE(writer()->RegisterArtifact(Sha('b'), 234, 1).ok());
  ASSERT_TRUE(writer()->RegisterArtifact(Sha('b'), 234, 2).ok());
  EXPECT_EQ(*writer()->ArtifactBytes(), 1234);
  ASSERT_TRUE(writer()->ForgetArtifact(Sha('a')).ok());
  EXPECT_EQ(*writer()->ArtifactBytes(), 234);
}

TEST_F(ArtifactRowsTest, ANewerCheckpointLetsTheOlderGo) {
  const int64_t id = AddRunningJob("0");
  KeepCheckpoint(id, 10, 'a', 100);
  EXPECT_THAT(Garbage(), IsEmpty());
  KeepCheckpoint(id, 20, 'b', 5000);
  EXPECT_THAT(Garbage(), ElementsAre(Sha('a')));
  const int64_t as_if_us = 5000 - (kGarbageAgeUs - kCheckpointGarbageAgeUs);
  EXPECT_THAT(Garbage(as_if_us), IsEmpty());
  EXPECT_THAT(Garbage(as_if_us + 1), ElementsAre(Sha('a'))) << "nobody waits for it";
  KeepCheckpoint(id, 20, 'b', 6000);  // the same again
  EXPECT_THAT(Garbage(), ElementsAre(Sha('a')));
  KeepCheckpoint(id, 30, 'a', 7000);
  EXPECT_THAT(Garbage(), ElementsAre(Sha('b')));
}

TEST_F(ArtifactRowsTest, AFileThatTwoJobsNeedOutlivesOneOfThem) {
  const int64_t one = AddRunningJob("0");
  const int64_t two = AddRunningJob("1");
  KeepCheckpoint(one, 10, 'a');
  KeepCheckpoint(two, 10, 'a');
  KeepCheckpoint(one, 20, 'b');
  EXPECT_THAT(Garbage(), IsEmpty());
  KeepCheckpoint(two, 20, 'c');
  EXPECT_THAT(Garbage(), ElementsAre(Sha('a')));
}

TEST_F(ArtifactRowsTest, AResultNeedsItsWeightsAndNoCheckpoint) {
  const int64_t id = AddRunningJob("0");
  KeepCheckpoint(id, 10, 'a');
  AddArtifact('b');
  AddArtifact('c');
  ASSERT_EQ(writer()->FinishJob(id, Result(Sha('b'), Sha('c')), 9000), absl::OkStatus());
  EXPECT_THAT(Garbage(), ElementsAre(Sha('a')));
}

TEST_F(ArtifactRowsTest, TheBestWeightsMayBeTheLast) {
  const int64_t one = AddRunningJob("0");
  const int64_t two = AddRunningJob("1");
  AddArtifact('a');
  ASSERT_EQ(writer()->FinishJob(one, Result(Sha('a'), Sha('a')), 1), absl::OkStatus());
  ASSERT_EQ(writer()->FinishJob(two, Result(Sha('a'), ""), 1), absl::OkStatus());
  EXPECT_THAT(Garbage(), IsEmpty());
  EXPECT_THAT(writer()->ForgetArtifact(Sha('a')), IsStatus(absl::StatusCode::kFailedPrecondition));
}

TEST_F(ArtifactRowsTest, AResultWithoutAnArtifactIsRefused) {
  const int64_t id = AddRunningJob("0");
  KeepCheckpoint(id, 10, 'a');
  AddArtifact('b');
  for (const v1::JobResult& result :
       {Result(Sha('b'), Sha('c')), Result(Sha('c'), Sha('b')), Result(Sha('c'), "")}) {
    const absl::Status status = writer()->FinishJob(id, result, 9000);
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(std::string(status.message()), HasSubstr(Sha('c')));
  }
  EXPECT_THAT(Garbage(), ElementsAre(Sha('b')));
  Commit();
  EXPECT_EQ(Get(id).state(), v1::RUNNING);
  EXPECT_TRUE(Get(id).has_checkpoint());
  EXPECT_EQ(store_->ReadEvents(id)->size(), 2u);
}

TEST_F(ArtifactRowsTest, CheckpointsOutliveFailureAndCancellationButNotDivergence) {
  const int64_t cancelled = AddRunningJob("0");
  const int64_t failed = AddRunningJob("1");
  const int64_t diverged = AddRunningJob("2");
  KeepCheckpoint(cancelled, 10, 'a');
  KeepCheckpoint(failed, 10, 'b');
  KeepCheckpoint(diverged, 10, 'c');
  v1::Failure why;
  why.set_cause(v1::WORKER_ERROR);
  ASSERT_TRUE(writer()->CancelJob(cancelled, "", 9000).ok());
  ASSERT_TRUE(writer()->FailJob(failed, why, 9000).ok());
  why.set_cause(v1::DIVERGED);
  ASSERT_TRUE(writer()->FailJob(diverged, why, 9000).ok());
  EXPECT_THAT(Garbage(), ElementsAre(Sha('c')));
}

TEST_F(ArtifactRowsTest, GarbageIsForgotten) {
  const int64_t id = AddRunningJob("0");
  KeepCheckpoint(id, 10, 'a');
  AddArtifact('b');
  EXPECT_EQ(writer()->ForgetArtifact(Sha('b')), absl::OkStatus());
  EXPECT_EQ(writer()->ForgetArtifact(Sha('b')), absl::OkStatus());
  EXPECT_THAT(Garbage(), IsEmpty());
  const absl::Status needed = writer()->ForgetArtifact(Sha('a'));
  EXPECT_THAT(needed, IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(needed.message()), HasSubstr(Sha('a')));
}

TEST_F(ArtifactRowsTest, WhatIsUndoneNeedsNothing) {
  const int64_t id = AddRunningJob("0");
  KeepCheckpoint(id, 10, 'a');
  ASSERT_TRUE(writer()->Savepoint().ok());
  KeepCheckpoint(id, 20, 'b');
  ASSERT_TRUE(writer()->RollbackToSavepoint().ok());
  EXPECT_THAT(Garbage(), IsEmpty());
  AddArtifact('b');
  EXPECT_THAT(Garbage(), UnorderedElementsAre(Sha('b')));
}

}  // namespace
}  // namespace modlab
