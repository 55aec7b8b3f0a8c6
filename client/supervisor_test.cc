#include "client/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "client/process.h"

namespace modlab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

bool Soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/modlab-supervisor-XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override {
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child was left";
    std::filesystem::remove_all(dir_);
  }

  static Supervisor::Program Shell(const std::string& name, const std::string& script,
                                   const std::string& ready_text = "") {
    return {name, {"/bin/sh", "-c", script}, ready_text, /*may_go=*/false};
  }
  std::string Log(const std::string& name) { return FileTail(dir_ + "/" + name + ".log", 0, 1000); }
  int Lives(const std::string& name) {
    const std::string log = Log(name);
    int lives = 0;
    for (size_t at = 0; (at = log.find("life", at)) != std::string::npos; ++at) ++lives;
    return lives;
  }

  std::string dir_;
};

TEST_F(SupervisorTest, WaitsUntilAProgramSaysThatItIsReady) {
  Supervisor supervisor(dir_);
  ASSERT_TRUE(
      supervisor.Start(Shell("a", "sleep 0.2; echo ready now; exec sleep 100", "ready")).ok());
  EXPECT_EQ(Log("a"), "ready now");
}

TEST_F(SupervisorTest, AProgramThatEndsBeforeItIsReadyIsAnErrorWithItsLog) {
  Supervisor supervisor(dir_);
  const absl::Status status =
      supervisor.Start(Shell("coordinator", "echo the disk is full >&2; exit 1", "ready"));
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("coordinator did not start: exit code 1"), HasSubstr("the disk is full")));
  // Nor is it started again.
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_EQ(Log("coordinator"), "the disk is full");
}

TEST_F(SupervisorTest, AProgramThatDiesIsStartedAgain) {
  Supervisor supervisor(dir_);
  ASSERT_TRUE(supervisor.Start(Shell("a", "echo life $$; exec sleep 100", "life")).ok());
  const std::string log = Log("a");
  kill(static_cast<pid_t>(std::stol(log.substr(5))), SIGKILL);
  EXPECT_TRUE(Soon([&] { return Lives("a") == 2; }));
  EXPECT_TRUE(supervisor.status().ok());
}

TEST_F(SupervisorTest, GivesUpOnAProgramThatKeepsDying) {
  Supervisor supervisor(dir_);
  ASSERT_TRUE(supervisor.Start(Shell("worker-1", "echo life; echo no such device >&2")).ok());
  EXPECT_TRUE(Soon([&] { return !supervisor.status().ok(); }));
  EXPECT_EQ(Lives("worker-1"), 6);
  EXPECT_THAT(std::string(supervisor.status().message()),
              AllOf(HasSubstr("worker-1 ended 6 times"), HasSubstr("no such device")));
}

TEST_F(SupervisorTest, WhatMayGoStaysAwayUnlessItFailed) {
  Supervisor supervisor(dir_);
  EXPECT_FALSE(supervisor.AllWent());
  ASSERT_TRUE(supervisor.Start(Shell("coordinator", "exec sleep 100")).ok());
  EXPECT_FALSE(supervisor.AllWent());
  Supervisor::Program drained = Shell("worker-1", "echo life; sleep 0.1");
  drained.may_go = true;
  ASSERT_TRUE(supervisor.Start(drained).ok());
  EXPECT_TRUE(Soon([&] { return supervisor.AllWent(); }));
  Supervisor::Program dies =
      Shell("worker-2", "echo life; test -e went && exit 0; touch went; exit 1");
  dies.may_go = true;
  dies.argv[2] = "cd " + dir_ + "; " + dies.argv[2];
  ASSERT_TRUE(supervisor.Start(dies).ok());
  EXPECT_TRUE(Soon([&] { return Lives("worker-2") == 2; }));
  EXPECT_TRUE(Soon([&] { return supervisor.AllWent(); }));
  EXPECT_TRUE(supervisor.status().ok());
  // It would be started again after 200 ms.
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_EQ(Lives("worker-1"), 1);
  EXPECT_EQ(Lives("worker-2"), 2);
}

TEST_F(SupervisorTest, EndsTheFirstProgramAfterTheOthers) {
  {
    Supervisor supervisor(dir_);
    const std::string log = dir_ + "/order";
    for (const std::string name : {"first", "second"}) {
      const std::string delay = name == "second" ? "sleep 0.3;" : "";
      ASSERT_TRUE(supervisor
                      .Start(Shell(name,
                                   "trap '" + delay + " echo " + name + " >> " + log +
                                       "; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
                                   "ready"))
                      .ok());
    }
  }
  EXPECT_EQ(FileTail(dir_ + "/order", 0, 10), "second\nfirst");
}

TEST_F(SupervisorTest, KillEndsWhatIgnoresEverything) {
  Supervisor supervisor(dir_);
  ASSERT_TRUE(
      supervisor
          .Start(Shell("a", "trap '' TERM INT; echo ready; while :; do sleep 0.05; done", "ready"))
          .ok());
  const auto start = std::chrono::steady_clock::now();
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    supervisor.Kill();
  });
  supervisor.Stop();
  killer.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
}

}  // namespace
}  // namespace modlab
