#include "client/supervisor.h"

#include <chrono>
#include <csignal>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/interrupt.h"
#include "client/process.h"

namespace modlab {
namespace {

constexpr auto kTick = std::chrono::milliseconds(20);
constexpr absl::Duration kReadyTimeout = absl::Seconds(30);
constexpr absl::Duration kEndTimeout = absl::Seconds(10);
constexpr absl::Duration kRestartDelay = absl::Milliseconds(200);
constexpr absl::Duration kRestartWindow = absl::Minutes(1);
constexpr size_t kRestartsMax = 5;
constexpr int kTailLines = 8;

}  // namespace

Supervisor::Supervisor(std::string log_dir) : log_dir_(std::move(log_dir)) {
  thread_ = std::thread([this] { Run(); });
}

Supervisor::~Supervisor() { Stop(); }

void Supervisor::Stop() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

absl::Status Supervisor::Start(Program program) {
  const MutexLock lock(&mutex_);
  Child& child = children_.emplace_back();
  child.log_path = absl::StrCat(log_dir_, "/", program.name, ".log");
  child.program = std::move(program);
  changed_.NotifyAll();
  const absl::Time deadline = absl::Now() + kReadyTimeout;
  while (!child.ready && child.failure.ok()) {
    changed_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kTick);
    if (Interrupt::Requested()) child.failure = absl::CancelledError("interrupted");
    if (absl::Now() > deadline && !child.ready && child.failure.ok()) {
      child.failure = absl::DeadlineExceededError(absl::StrCat(
          child.program.name, " was not ready within 30 s; its log is ", child.log_path));
    }
  }
  return child.failure;
}

absl::Status Supervisor::status() const {
  const MutexLock lock(&mutex_);
  for (const Child& child : children_) {
    if (!child.failure.ok()) return child.failure;
  }
  return absl::OkStatus();
}

bool Supervisor::AllWent() const {
  const MutexLock lock(&mutex_);
  bool any = false;
  for (const Child& child : children_) {
    if (child.program.may_go && !child.went) return false;
    any = any || child.went;
  }
  return any;
}

void Supervisor::Kill() {
  const MutexLock lock(&mutex_);
  for (const Child& child : children_) {
    if (child.pid > 0) kill(child.pid, SIGKILL);
  }
}

void Supervisor::Run() {
  const MutexLock lock(&mutex_);
  while (!stopping_) {
    for (Child& child : children_) Tend(&child);
    changed_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kTick);
  }
  End(/*first=*/false);
  End(/*first=*/true);
}

void Supervisor::Tend(Child* child) {
  if (child->pid == 0) {
    if (child->went || !child->failure.ok() || absl::Now() < child->restart_at) return;
    child->log_start_bytes = FileBytes(child->log_path);
    absl::StatusOr<pid_t> pid = SpawnProcess(child->program.argv, child->log_path);
    if (pid.ok()) {
      child->pid = *pid;
    } else {
      child->failure = pid.status();
    }
  } else if (auto how = ReapProcess(child->pid)) {
    child->pid = 0;
    HandleEnd(child, *how);
  }
  if (child->pid != 0 && !child->ready) {
    const std::string log = FileTail(child->log_path, child->log_start_bytes, 1000);
    child->ready = log.find(child->program.ready_text) != std::string::npos;
  }
  if (child->ready || !child->failure.ok()) changed_.NotifyAll();
}

void Supervisor::HandleEnd(Child* child, const std::string& how) {
  if (child->program.may_go && child->ready && how == kEndedWell) {
    child->went = true;
    return;
  }
  const std::string tail = FileTail(child->log_path, child->log_start_bytes, kTailLines);
  const std::string evidence =
      absl::StrCat(how, ", ",
                   tail.empty() ? "nothing in its log " + child->log_path
                                : absl::StrCat("end of its log ", child->log_path, ":\n    ",
                                               absl::StrReplaceAll(tail, {{"\n", "\n    "}})));
  if (!child->failure.ok()) return;
  if (!child->ready) {
    child->failure = absl::FailedPreconditionError(
        absl::StrCat(child->program.name, " did not start: ", evidence));
    return;
  }
  const absl::Time now = absl::Now();
  while (!child->restarts.empty() && child->restarts.front() < now - kRestartWindow) {
    child->restarts.pop_front();
  }
  if (child->restarts.size() >= kRestartsMax) {
    child->failure = absl::InternalError(
        absl::StrCat(child->program.name, " ended ", kRestartsMax + 1,
                     " times within a minute, and is not started again: ", evidence));
    return;
  }
  child->restarts.push_back(now);
  child->restart_at = now + kRestartDelay;
}

void Supervisor::Signal(bool first, int number) {
  for (const Child& child : children_) {
    if ((&child == &children_.front()) == first && child.pid > 0) kill(child.pid, number);
  }
}

bool Supervisor::Reap(bool first) {
  bool gone = true;
  for (Child& child : children_) {
    if ((&child == &children_.front()) != first || child.pid == 0) continue;
    if (ReapProcess(child.pid)) {
      child.pid = 0;
    } else {
      gone = false;
    }
  }
  return gone;
}

void Supervisor::End(bool first) {
  const absl::Time deadline = absl::Now() + kEndTimeout;
  Signal(first, SIGTERM);
  bool killed = false;
  while (!Reap(first)) {
    if (!killed && absl::Now() > deadline) {
      Signal(first, SIGKILL);
      killed = true;
    }
    changed_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kTick);
  }
}

}  // namespace modlab
