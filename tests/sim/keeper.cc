// The worker's CheckpointKeeper on a fiber instead of a thread: takes the place of
// worker/checkpoint_keeper.cc at link time.

#include "tests/sim/keeper.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/checkpoint_keeper.h"

namespace modlab {
namespace sim {

namespace {

KeeperThread next_thread;
std::map<const CheckpointKeeper*, KeeperThread>& Threads() {
  static auto* const threads = new std::map<const CheckpointKeeper*, KeeperThread>();
  return *threads;
}

}  // namespace

void SetKeeperThread(KeeperThread thread) { next_thread = std::move(thread); }

}  // namespace sim

CheckpointKeeper::CheckpointKeeper(Session* session, ArtifactSink keep_artifact, Limits limits)
    : session_(session), keep_artifact_(std::move(keep_artifact)), limits_(limits) {
  sim::Threads()[this] = sim::next_thread;
  sim::next_thread.start([this] { Run(); });
}

CheckpointKeeper::~CheckpointKeeper() { sim::Threads().erase(this); }

bool CheckpointKeeper::Stop(std::chrono::milliseconds) {
  stopping_ = true;
  sim::Threads()[this].wake();
  return ended_;
}

void CheckpointKeeper::Keep(const std::shared_ptr<Gang>& gang, int member, int64_t iteration,
                            std::string file) {
  if (stopping_) return;
  line_.Put(gang, member, iteration, std::move(file));
  sim::Threads()[this].wake();
}

void CheckpointKeeper::Release(const std::shared_ptr<Gang>& gang, int member) {
  line_.Release(gang, member);
  sim::Threads()[this].wake();
}

bool CheckpointKeeper::IsWanted(const CheckpointLine::Work& work) const {
  return session_->Wants(*work.gang, work.member) && !stopping_ && !line_.HasNewer(work);
}

void CheckpointKeeper::Run() {
  const sim::KeeperThread thread = sim::Threads()[this];
  while (!stopping_) {
    if (line_.empty()) {
      if (!thread.wait()) break;
      continue;
    }
    const CheckpointLine::Work work = line_.Take();
    Do(work);
    line_.Done(work);
  }
  ended_ = true;
}

void CheckpointKeeper::Do(const CheckpointLine::Work& work) {
  if (!work.file.empty() && IsWanted(work)) {
    const absl::StatusOr<std::string> sha256 =
        keep_artifact_(work.file, [&](const absl::Status&) { return IsWanted(work); });
    if (sha256.ok()) ReportStored(work, *sha256, session_);
  }
  if (work.release) ReportReleased(work, session_);
}

}  // namespace modlab
