#include "tests/sim/disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/random.h"
#include "tests/sim/vfs.h"

namespace modlab {
namespace sim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Disk::FilePtr Made(Disk* disk, const std::string& path, const std::string& content) {
  int error = 0;
  const Disk::FilePtr file = disk->Create(path, &error);
  EXPECT_EQ(error, 0);
  EXPECT_EQ(disk->Write(file.get(), 0, content), 0);
  return file;
}

TEST(DiskTest, KeepsWhatWasSyncedAndLosesWhatWasNot) {
  bool lost_data = false;
  bool lost_name = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Disk disk(seed);
    const Disk::FilePtr kept = Made(&disk, "d/kept", std::string(2000, 'k'));
    EXPECT_EQ(disk.Sync(kept.get()), 0);
    EXPECT_EQ(disk.SyncDirectory("d"), 0);
    EXPECT_EQ(disk.Write(kept.get(), 2000, std::string(2000, 'n')), 0);
    Made(&disk, "d/new", "x");
    disk.Restart(/*power_was_cut=*/true);
    ASSERT_NE(disk.Find("d/kept"), nullptr);
    const std::string& content = disk.Find("d/kept")->content();
    EXPECT_EQ(content.substr(0, 2000), std::string(2000, 'k'));
    lost_data = lost_data || content != std::string(2000, 'k') + std::string(2000, 'n');
    lost_name = lost_name || disk.Find("d/new") == nullptr;
  }
  EXPECT_TRUE(lost_data);
  EXPECT_TRUE(lost_name);
}

TEST(DiskTest, AKilledProcessLosesNothingThatItWrote) {
  Disk disk(1);
  Made(&disk, "d/a", "content");
  disk.Crash();
  EXPECT_EQ(disk.Write(disk.Find("d/a").get(), 0, "x"), EIO);
  disk.Restart(/*power_was_cut=*/false);
  EXPECT_EQ(disk.Find("d/a")->content(), "content");
}

TEST(DiskTest, ARenamedFileIsUnderOneOfItsNames) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    const Disk::FilePtr file = Made(&disk, "tmp/a", "content");
    EXPECT_EQ(disk.Sync(file.get()), 0);
    EXPECT_EQ(disk.SyncDirectory("tmp"), 0);
    EXPECT_EQ(disk.Rename("tmp/a", "ab/a"), 0);
    EXPECT_EQ(disk.SyncDirectory("ab"), 0);
    disk.Restart(/*power_was_cut=*/true);
    ASSERT_NE(disk.Find("ab/a"), nullptr);
    EXPECT_EQ(disk.Find("ab/a")->content(), "content");
  }
}

TEST(DiskTest, FailsAsTold) {
  Disk disk(1);
  const Disk::FilePtr file = Made(&disk, "a", "12345678");
  Disk::Luck luck;
  luck.bytes_max = 10;
  disk.set_luck(luck);
  EXPECT_EQ(disk.Write(file.get(), 8, "9012"), ENOSPC);
  EXPECT_EQ(disk.Write(file.get(), 8, "90"), 0);
  luck.sync_error = 1.0;
  disk.set_luck(luck);
  EXPECT_EQ(disk.Sync(file.get()), EIO);
  disk.set_luck({});
  EXPECT_EQ(disk.Remove("b"), ENOENT);
  EXPECT_EQ(disk.Remove("a"), 0);
  EXPECT_THAT(disk.List(""), IsEmpty());
}

TEST(DiskTest, CrashesInTheOperationAsked) {
  Disk disk(1);
  Made(&disk, "a", "1");
  disk.CrashAfter(1);
  EXPECT_EQ(disk.Write(disk.Find("a").get(), 0, "2"), 0);
  EXPECT_EQ(disk.Write(disk.Find("a").get(), 0, "3"), EIO);
  EXPECT_TRUE(disk.crashed());
  disk.Restart(/*power_was_cut=*/false);
  EXPECT_THAT(disk.List(""), ElementsAre("a"));
  EXPECT_EQ(disk.Find("a")->content(), "2");
}

// A known-good program on the VFS: SQLite itself, as the store uses it.
class Workload {
 public:
  Workload(uint64_t seed, bool forgets_syncs)
      : random_(seed), disk_(Mix(seed)), vfs_(&disk_, seed), forgets_syncs_(forgets_syncs) {}
  ~Workload() { Close(); }

  // Runs transactions through crashes. False: a committed one was lost, or half
  // of one is there.
  bool Run(int lives) {
    for (int life = 0; life < lives; ++life) {
      if (!Live()) return false;
    }
    return true;
  }
  const Disk::Counts& counts() const { return disk_.counts(); }
  int commits() const { return commits_; }

 private:
  using Rows = std::map<int64_t, std::string>;

  sqlite3* Open(int flags) {
    sqlite3* connection = nullptr;
    if (sqlite3_open_v2("d/test.db", &connection, flags | SQLITE_OPEN_NOMUTEX, Vfs::kName) !=
        SQLITE_OK) {
      sqlite3_close(connection);
      return nullptr;
    }
    return connection;
  }

  void Close() {
    for (sqlite3** connection : {&reader_, &writer_}) {
      sqlite3_close(*connection);
      *connection = nullptr;
    }
  }

  bool Execute(const std::string& sql) {
    return sqlite3_exec(writer_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
  }

  static int TakeRow(void* rows, int, char** values, char**) {
    // A file that was damaged may have rows without values.
    (*static_cast<Rows*>(rows))[std::stoll(values[0])] = values[1] == nullptr ? "" : values[1];
    return 0;
  }

  static bool ReadAll(sqlite3* connection, Rows* rows) {
    rows->clear();
    return sqlite3_exec(connection, "SELECT k, v FROM t", TakeRow, rows, nullptr) == SQLITE_OK;
  }

  // Changes `rows` and the file alike; false where SQLite refused.
  bool ChangeSomething(Rows* rows) {
    const int64_t key = random_.Between(1, 60);
    const auto length = static_cast<size_t>(random_.Between(1, 6000));
    const std::string value(length, static_cast<char>('a' + random_.Below(26)));
    if (random_.Chance(0.2)) {
      rows->erase(key);
      return Execute("DELETE FROM t WHERE k = " + std::to_string(key));
    }
    (*rows)[key] = value;
    return Execute("INSERT OR REPLACE INTO t VALUES (" + std::to_string(key) + ", '" + value +
                   "')");
  }

  // From a start to a crash, or to an orderly end.
  bool Live() {
    const bool is_good = Begin() && GoOn();
    Close();
    if (disk_.crashed() || random_.Chance(0.5)) disk_.Restart(random_.Chance(0.7));
    return is_good;
  }

  // Opens the database. What was found there counts as committed only once it is on
  // disk: an earlier life may have ended between writing to the log and syncing it.
  bool Begin() {
    Disk::Luck luck;
    luck.forgets_syncs = forgets_syncs_;
    disk_.set_luck(luck);
    writer_ = Open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (writer_ == nullptr) return disk_.crashed();
    if (!Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                 "PRAGMA wal_autocheckpoint = 20;"
                 "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v TEXT);"
                 "PRAGMA wal_checkpoint(TRUNCATE)")) {
      return disk_.crashed();
    }
    Rows found;
    if (!ReadAll(writer_, &found)) return disk_.crashed();
    if (found != committed_ && std::count(maybe_.begin(), maybe_.end(), found) == 0) return false;
    committed_ = found;
    maybe_.clear();
    return true;
  }

  bool GoOn() {
    reader_ = Open(SQLITE_OPEN_READONLY);
    Disk::Luck luck = disk_.luck();
    if (random_.Chance(0.3)) {
      luck.write_error = 0.01;
      luck.sync_error = 0.05;
    }
    if (random_.Chance(0.3)) luck.bytes_max = disk_.bytes() + random_.Between(0, 100'000);
    disk_.set_luck(luck);
    if (random_.Chance(0.8)) disk_.CrashAfter(random_.Between(0, 300));
    for (int i = 0; i < 60 && !disk_.crashed(); ++i) {
      if (!Transact()) return false;
    }
    return true;
  }

  bool Transact() {
    Rows rows = committed_;
    bool is_good = Execute("BEGIN IMMEDIATE");
    for (int64_t changes = random_.Between(1, 5); changes > 0 && is_good; --changes) {
      is_good = ChangeSomething(&rows);
    }
    if (is_good && Execute("COMMIT") && !disk_.crashed()) {
      // One that changes nothing writes nothing.
      if (rows != committed_) maybe_.clear();
      committed_ = rows;
      ++commits_;
    } else {
      if (sqlite3_get_autocommit(writer_) == 0) Execute("ROLLBACK");
      // What failed at its end may be found in the log after a crash, as long as
      // nothing took its place there.
      maybe_.push_back(rows);
    }
    if (disk_.crashed() || !random_.Chance(0.2)) return true;
    Rows found;
    return !ReadAll(reader_, &found) || disk_.crashed() || found == committed_;
  }

  Random random_;
  Disk disk_;
  Vfs vfs_;
  const bool forgets_syncs_;
  sqlite3* writer_ = nullptr;
  sqlite3* reader_ = nullptr;
  Rows committed_;
  std::vector<Rows> maybe_;  // what a crash may leave as well
  int commits_ = 0;
};

TEST(VfsTest, SqliteKeepsEveryCommittedTransaction) {
  Disk::Counts sum;
  int commits = 0;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    Workload workload(seed, /*forgets_syncs=*/false);
    ASSERT_TRUE(workload.Run(8)) << "seed " << seed;
    sum.kills += workload.counts().kills;
    sum.power_cuts += workload.counts().power_cuts;
    sum.full += workload.counts().full;
    sum.write_errors += workload.counts().write_errors;
    sum.sync_errors += workload.counts().sync_errors;
    commits += workload.commits();
  }
  // It was put to the test.
  EXPECT_GT(commits, 5000);
  EXPECT_GT(sum.kills, 100);
  EXPECT_GT(sum.power_cuts, 300);
  EXPECT_GT(sum.full, 100);
  EXPECT_GT(sum.write_errors, 50);
  EXPECT_GT(sum.sync_errors, 50);
}

TEST(VfsTest, ADiskThatForgetsItsSyncsIsCaught) {
  int caught = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Workload workload(seed, /*forgets_syncs=*/true);
    if (!workload.Run(8)) ++caught;
  }
  EXPECT_GE(caught, 18);
}

TEST(VfsTest, EqualSeedsAreEqualRuns) {
  const auto run = [] {
    Workload workload(7, /*forgets_syncs=*/false);
    EXPECT_TRUE(workload.Run(5));
    return std::make_pair(workload.counts().operations, workload.commits());
  };
  const auto first = run();
  EXPECT_GT(first.second, 10);
  EXPECT_EQ(run(), first);
}

}  // namespace
}  // namespace sim
}  // namespace modlab
