// Trouble with the data directory: taken, too new, full.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sqlite_file.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Yaml(int seed) {
  return SmallSweep("stored", absl::StrCat("{rules: 2, model: [modular, gt_modular, monolithic], "
                                           "model_seed: ",
                                           seed, "}"));
}

Output Modlabd(const Cluster& cluster, const std::string& socket) {
  return RunToEnd({ModlabdPath(), "--data-dir", cluster.data_dir(), "--listen",
                   "unix:" + cluster.dir() + "/" + socket},
                  cluster.dir() + "/modlabd-refused");
}

TEST(StoreTest, DirectoryInUseByAnotherCoordinator) {
  Cluster cluster;
  Process* coordinator = cluster.StartCoordinator();
  const Output refused = Modlabd(cluster, "second.sock");
  EXPECT_GT(refused.exit_code, 0);
  EXPECT_THAT(refused.out + refused.err,
              AllOf(HasSubstr(cluster.data_dir()), HasSubstr("in use"),
                    HasSubstr(absl::StrCat(coordinator->pid())), HasSubstr(cluster.address())));
  // The first one is none the worse, and serves the directory to commands.
  EXPECT_EQ(cluster.Submit(Yaml(0)), "stored-1");
  const Output listed = cluster.ModlabAlone({"ls", "--data-dir", cluster.data_dir()});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out, HasSubstr("stored-1"));
}

TEST(StoreTest, AddressInUse) {
  Cluster cluster;
  cluster.set_address("127.0.0.1:0");
  cluster.StartCoordinator();
  const Output refused = RunToEnd(
      {ModlabdPath(), "--data-dir", cluster.dir() + "/other", "--listen", cluster.address()},
      cluster.dir() + "/modlabd-refused");
  EXPECT_GT(refused.exit_code, 0);
  EXPECT_THAT(refused.out + refused.err, HasSubstr(cluster.address()));
}

TEST(StoreTest, DatabaseOfANewerSchema) {
  Cluster cluster;
  Process* coordinator = cluster.StartCoordinator();
  cluster.Submit(Yaml(0));
  coordinator->Signal(SIGTERM);
  EXPECT_EQ(coordinator->Wait().value_or(-1), 0);

  const std::string database = cluster.data_dir() + "/modlab.db";
  const int64_t version = QueryNumber(database, "PRAGMA user_version");
  Execute(database, "PRAGMA user_version = 999");
  const Output refused = Modlabd(cluster, "second.sock");
  EXPECT_GT(refused.exit_code, 0);
  EXPECT_THAT(refused.out + refused.err,
              AllOf(HasSubstr("999"), HasSubstr(absl::StrCat(version)), HasSubstr("newer")));
  const Output embedded = cluster.ModlabAlone({"ls", "--data-dir", cluster.data_dir()});
  EXPECT_EQ(embedded.exit_code, 1);
  EXPECT_THAT(embedded.err, HasSubstr("999"));

  // Nothing was touched.
  Execute(database, absl::StrCat("PRAGMA user_version = ", version));
  cluster.StartCoordinator();
  EXPECT_EQ(cluster.Rows({"ls"}).size(), 1u);
}

// A small file system at `path` that only this process and its children see.
class SmallDisk {
 public:
  SmallDisk(const std::string& path, int megabytes) : path_(path) {
    mounted_ = Mount(absl::StrCat("size=", megabytes, "m"));
  }
  // What still uses it is no obstacle.
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }

  // False where mounting is not allowed.
  bool mounted() const { return mounted_; }

 private:
  bool Mount(const std::string& options) {
    const uid_t user = getuid();
    const gid_t group = getgid();
    if (unshare(CLONE_NEWNS) != 0) {
      if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
      WriteFile("/proc/self/uid_map", absl::StrCat("0 ", user, " 1"));
      WriteFile("/proc/self/setgroups", "deny");  // else gid_map may not be written
      WriteFile("/proc/self/gid_map", absl::StrCat("0 ", group, " 1"));
    }
    return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mkdir(path_.c_str(), 0755) == 0 &&
           mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }

  const std::string path_;
  bool mounted_ = false;
};

// Takes all room that is left.
void Fill(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  for (size_t block = 1 << 20; block > 0; block /= 2) {
    while (
        file.write(std::string(block, 'x').data(), static_cast<std::streamsize>(block)).flush()) {
    }
    file.clear();
  }
}

TEST(StoreTest, FullDiskRefusesAndForgetsNothing) {
  Cluster cluster;
  const SmallDisk disk(cluster.data_dir(), 32);
  if (!disk.mounted()) GTEST_SKIP() << "needs to mount a file system";
  cluster.StartCoordinator();
  const std::string before = cluster.Submit(Yaml(0));
  cluster.StartWorker(/*gang=*/4);
  EXPECT_EQ(cluster.WaitForEnd(before).value("succeeded", 0), 3);
  const Json kept = cluster.Rows({"export", before});
  // In the midst of its training when the disk fills up.
  const std::string running = cluster.Submit(
      SmallSweep("running", "{rules: 2, model: modular, iterations: 5000, model_seed: [1, 2]}"));
  ASSERT_TRUE(cluster.WaitForSweep(
      running, [](const Json& row) { return row.value("iterations_done", 0) > 0; }));

  const std::string ballast = cluster.data_dir() + "/ballast";
  Fill(ballast);
  Output refused;
  // SQLite may still have room in the files that it has.
  int submitted = 1;
  ASSERT_TRUE(WaitUntil([&] {
    refused = cluster.Modlab({"submit", cluster.Write("sweep.yaml", Yaml(submitted))});
    if (refused.exit_code != 0) return true;
    ++submitted;
    return false;
  }));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("disk"), HasSubstr("full")));
  // Reads go on; what was acknowledged is there, what was refused is not.
  EXPECT_EQ(cluster.Rows({"ls"}).size(), static_cast<size_t>(submitted) + 1);
  EXPECT_EQ(cluster.Rows({"export", before}), kept);
  EXPECT_EQ(cluster.Modlab({"results", before}).exit_code, 0);

  ASSERT_EQ(unlink(ballast.c_str()), 0);
  const std::string after = cluster.Submit(Yaml(1000));
  EXPECT_EQ(cluster.WaitForEnd(after).value("succeeded", 0), 3);
  EXPECT_EQ(cluster.WaitForEnd(running).value("succeeded", 0), 2);
  for (const Json& job : cluster.Rows({"export", running})) EXPECT_EQ(job["attempt"], 1);
  EXPECT_EQ(cluster.Rows({"export", before}), kept);
}

// The remedy that the error names has to work.
TEST(StoreTest, FullDiskCanBePruned) {
  Cluster cluster;
  const SmallDisk disk(cluster.data_dir(), 32);
  if (!disk.mounted()) GTEST_SKIP() << "needs to mount a file system";
  Process* coordinator = cluster.StartCoordinator();
  const std::string reserve = cluster.data_dir() + "/reserve";
  EXPECT_TRUE(std::filesystem::exists(reserve));
  Process* worker = cluster.StartWorker(/*gang=*/4);
  const std::string one = cluster.Submit(Yaml(0));
  const std::string two = cluster.Submit(Yaml(1));
  EXPECT_EQ(cluster.WaitForEnd(one).value("succeeded", 0), 3);
  EXPECT_EQ(cluster.WaitForEnd(two).value("succeeded", 0), 3);
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait().value_or(-1), 0);

  const std::string ballast = cluster.data_dir() + "/ballast";
  Fill(ballast);
  int submitted = 1;
  ASSERT_TRUE(WaitUntil([&] {
    return cluster.Modlab({"submit", cluster.Write("sweep.yaml", Yaml(++submitted))}).exit_code !=
           0;
  }));
  const Output would = cluster.Modlab({"prune", one, "--dry-run"});
  EXPECT_EQ(would.exit_code, 0) << would.err;
  EXPECT_THAT(would.out, HasSubstr("1 sweep with 3 jobs"));
  coordinator->Signal(SIGKILL);
  coordinator->Wait();
  cluster.StartCoordinator();
  const Output weights = cluster.Modlab({"prune", two, "--weights-only", "--yes"});
  EXPECT_EQ(weights.exit_code, 0) << weights.err;
  const Output pruned = cluster.Modlab({"prune", one, "--yes"});
  EXPECT_EQ(pruned.exit_code, 0) << pruned.err;
  EXPECT_THAT(pruned.out, HasSubstr("Removed: 1 sweep with 3 jobs"));

  // Work is accepted again, and done once there is room for weights.
  const std::string after = cluster.Submit(Yaml(1000));
  ASSERT_EQ(unlink(ballast.c_str()), 0);
  cluster.StartWorker(/*gang=*/4);
  EXPECT_EQ(cluster.WaitForEnd(after).value("succeeded", 0), 3);
  EXPECT_TRUE(WaitUntil([&] { return std::filesystem::exists(reserve); }));
}

}  // namespace
}  // namespace modlab::e2e
