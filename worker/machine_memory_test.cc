#include "worker/machine_memory.h"

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace modlab {
namespace {

class MachineMemoryTest : public testing::Test {
 protected:
  MachineMemoryTest() : root_(testing::TempDir() + "modlab_memory_XXXXXX") {
    if (mkdtemp(root_.data()) == nullptr) ADD_FAILURE() << "cannot make " << root_;
    Write("/proc/meminfo", "MemTotal:       1024 kB\nMemFree: 5 kB\n");
  }
  ~MachineMemoryTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  int64_t Bytes() const { return MachineMemoryBytes(root_); }

  std::string root_;
};

constexpr int64_t kInstalled = int64_t{1} << 20;

TEST_F(MachineMemoryTest, IsWhatIsInstalledWhereNothingLimitsIt) {
  EXPECT_EQ(Bytes(), kInstalled);
  Write("/proc/self/cgroup", "0::/user.slice\n");
  Write("/sys/fs/cgroup/user.slice/memory.max", "max\n");
  EXPECT_EQ(Bytes(), kInstalled);
  Write("/sys/fs/cgroup/user.slice/memory.max", "2000000\n");
  EXPECT_EQ(Bytes(), kInstalled) << "a limit above it";
}

TEST_F(MachineMemoryTest, EveryGroupAroundTheProcessLimitsIt) {
  Write("/proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  Write("/sys/fs/cgroup/slurm/job_7/memory.max", "300000\n");
  EXPECT_EQ(Bytes(), 300000);
  Write("/sys/fs/cgroup/memory.max", "200000\n");
  EXPECT_EQ(Bytes(), 200000);
}

TEST_F(MachineMemoryTest, KnowsTheFirstVersionOfControlGroups) {
  Write("/proc/self/cgroup", "5:devices:/x\n4:memory:/docker/abc\n0::/\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "400000\n");
  Write("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Bytes(), 400000);
}

TEST_F(MachineMemoryTest, IsNotKnownWhereNobodySays) {
  EXPECT_EQ(MachineMemoryBytes(root_ + "/none"), 0);
  EXPECT_GT(MachineMemoryBytes(), int64_t{64} << 20) << "of this machine";
}

TEST(SlotMemoryTest, IsFourFifthsOfTheShare) {
  EXPECT_EQ(SlotMemoryBytes(1000, 1), 800);
  EXPECT_EQ(SlotMemoryBytes(1000, 4), 200);
  EXPECT_EQ(SlotMemoryBytes(0, 4), 0) << "not known";
}

}  // namespace
}  // namespace modlab
