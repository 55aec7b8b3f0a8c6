#include "client/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "absl/status/status.h"

namespace modlab {
namespace {

using ::testing::HasSubstr;

class ProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/modlab-process-XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    log_ = dir_ + "/log";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string WaitFor(pid_t pid) {
    for (int i = 0; i < 1000; ++i) {
      if (auto how = ReapProcess(pid)) return *how;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return "still running";
  }

  std::string dir_;
  std::string log_;
};

TEST_F(ProcessTest, OutputGoesToTheEndOfTheLog) {
  std::ofstream(log_) << "before\n";
  auto pid =
      SpawnProcess({"/bin/sh", "-c", "echo out; echo err >&2; read x || echo eof; exit 3"}, log_);
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_EQ(WaitFor(*pid), "exit code 3");
  EXPECT_EQ(FileTail(log_, 0, 10), "before\nout\nerr\neof");
  EXPECT_EQ(FileTail(log_, 7, 10), "out\nerr\neof");
  EXPECT_EQ(FileTail(log_, 0, 2), "err\neof");
}

TEST_F(ProcessTest, TellsTheSignalThatEndedIt) {
  auto pid = SpawnProcess({"/bin/sleep", "100"}, log_);
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_EQ(ReapProcess(*pid), std::nullopt);
  EXPECT_EQ(getpgid(*pid), *pid);
  kill(*pid, SIGKILL);
  EXPECT_EQ(WaitFor(*pid), "signal 9 (Killed)");
}

TEST_F(ProcessTest, AProgramThatCannotRunIsAnError) {
  const auto pid = SpawnProcess({dir_ + "/none"}, log_);
  EXPECT_THAT(std::string(pid.status().message()), HasSubstr("/none: No such file"));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child was left";
}

TEST_F(ProcessTest, EndsWithTheThreadThatStartedIt) {
  // The child of a dead parent must not stay: seen here with a thread.
  pid_t child = 0;
  std::thread([&] {
    auto pid = SpawnProcess({"/bin/sleep", "100"}, log_);
    ASSERT_TRUE(pid.ok()) << pid.status();
    child = *pid;
  }).join();
  ASSERT_NE(child, 0);
  EXPECT_EQ(WaitFor(child), "signal 9 (Killed)");
}

TEST_F(ProcessTest, FindsProgramsBesideItselfAndInPath) {
  const auto beside = FindProgram("client_process_test");
  ASSERT_TRUE(beside.ok()) << beside.status();
  EXPECT_EQ(*beside, std::filesystem::read_symlink("/proc/self/exe").string());
  EXPECT_TRUE(FindProgram("sh").ok());
  const auto none = FindProgram("modlab-no-such-program");
  EXPECT_TRUE(absl::IsNotFound(none.status()));
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("nor in PATH"));
}

TEST_F(ProcessTest, TheTailOfNothingIsEmpty) {
  EXPECT_EQ(FileTail(dir_ + "/none", 0, 5), "");
  std::ofstream(log_) << std::string(100000, 'x') << "\nlast\n";
  EXPECT_EQ(FileTail(log_, 0, 1), "last");
  EXPECT_LE(FileTail(log_, 0, 5).size(), 16U << 10);
}

}  // namespace
}  // namespace modlab
