// What transactions promise to the writer, to readers and after a crash.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;

using TransactionsTest = StoreFixture;

TEST_F(TransactionsTest, ChangesNeedATransaction) {
  EXPECT_FALSE(writer()->InsertSweep(v1::SweepSpec(), {}, "", "r", 1).ok());
  EXPECT_FALSE(writer()->CancelJob(1, "", 1).ok());
  EXPECT_FALSE(writer()->Commit().ok());
  EXPECT_FALSE(writer()->Savepoint().ok());
  writer()->Rollback();  // harmless
}

TEST_F(TransactionsTest, RollbackUndoes) {
  Begin();
  AddSweep("s");
  writer()->Rollback();
  EXPECT_FALSE(store_->GetSweep("s").ok());
  Begin();
  EXPECT_EQ(AddSweep("s"), "s-1");
  Commit();
  EXPECT_TRUE(store_->GetSweep("s").ok());
}

TEST_F(TransactionsTest, ASavepointUndoesItsStepOnly) {
  Begin();
  AddSweep("kept");
  ASSERT_EQ(writer()->Savepoint(), absl::OkStatus());
  AddSweep("dropped");
  ASSERT_EQ(writer()->RollbackToSavepoint(), absl::OkStatus());
  ASSERT_EQ(writer()->Savepoint(), absl::OkStatus());
  AddSweep("released");
  ASSERT_EQ(writer()->ReleaseSavepoint(), absl::OkStatus());
  EXPECT_FALSE(writer()->ReleaseSavepoint().ok());
  Commit();
  EXPECT_TRUE(store_->GetSweep("kept").ok());
  EXPECT_FALSE(store_->GetSweep("dropped").ok());
  EXPECT_TRUE(store_->GetSweep("released").ok());
}

TEST_F(TransactionsTest, WhatWasNotCommittedIsGoneAfterACrash) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Commit();
  Begin();
  Start(id);
  AddSweep("t");
  Reopen();
  EXPECT_EQ(Get(id).state(), v1::QUEUED);
  EXPECT_FALSE(store_->GetSweep("t").ok());
}

TEST_F(TransactionsTest, ReadersSeeWhatIsCommittedAndOneMoment) {
  Begin();
  const std::string sweep = AddSweep("s");
  AddJob(sweep, Config({}));
  AddJob(sweep, Config({{"model_seed", "1"}}));
  EXPECT_FALSE(store_->GetSweep(sweep).ok());
  Commit();
  std::vector<v1::JobState> states;
  ASSERT_EQ(store_->ScanJobs(sweep, {}, 0,
                             [&](const v1::Job& job) {
                               states.push_back(job.state());
                               Begin();
                               Start(2);
                               Commit();
                               return true;
                             }),
            absl::OkStatus());
  EXPECT_THAT(states, ElementsAre(v1::QUEUED, v1::QUEUED));
  EXPECT_EQ(Get(2).state(), v1::RUNNING);
}

TEST_F(TransactionsTest, MoreReadersThanConnectionsWaitTheirTurn) {
  Begin();
  const std::string sweep = AddSweep("s");
  const int64_t id = AddJob(sweep, Config({}));
  Commit();
  constexpr int kReaders = 32;
  std::atomic<int> read = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      const absl::Status status = store_->ScanJobs(sweep, {}, 0, [&](const v1::Job&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return ++read > 0;
      });
      EXPECT_EQ(status, absl::OkStatus());
    });
  }
  for (int attempt = 1; attempt <= 5; ++attempt) {
    Begin();
    Start(id, attempt);
    Commit();
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(read, kReaders);
}

}  // namespace
}  // namespace modlab
