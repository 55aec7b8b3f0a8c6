// The worker's CheckpointKeeper on a fiber instead of a thread: takes the place of
// worker/checkpoint_keeper.cc at link time.

#include "tests/sim/keeper.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "modlab/v1/job.pb.h"
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

CheckpointKeeper::Work* CheckpointKeeper::Find(const std::shared_ptr<Gang>& gang, int member) {
  const Key key(gang.get(), member);
  const auto [it, is_new] = waiting_.try_emplace(key);
  if (is_new) {
    it->second.gang = gang;
    line_.push_back(key);
  }
  return &it->second;
}

void CheckpointKeeper::Keep(const std::shared_ptr<Gang>& gang, int member, int64_t iteration,
                            std::string file) {
  if (stopping_) return;
  Work* const work = Find(gang, member);
  work->iteration = iteration;
  work->file = std::move(file);
  sim::Threads()[this].wake();
}

void CheckpointKeeper::Release(const std::shared_ptr<Gang>& gang, int member) {
  Find(gang, member)->release = true;
  sim::Threads()[this].wake();
}

bool CheckpointKeeper::IsWanted(const Key& key) const {
  const auto found = waiting_.find(key);
  const bool has_newer = found != waiting_.end() && !found->second.file.empty();
  return session_->Wants(*key.first, key.second) && !stopping_ && !has_newer;
}

void CheckpointKeeper::Run() {
  const sim::KeeperThread thread = sim::Threads()[this];
  while (!stopping_) {
    if (line_.empty()) {
      if (!thread.wait()) break;
      continue;
    }
    const Key key = line_.front();
    line_.pop_front();
    const Work work = std::move(waiting_.extract(key).mapped());
    Do(key, work);
  }
  ended_ = true;
}

void CheckpointKeeper::Do(const Key& key, const Work& work) {
  const int member = key.second;
  if (!work.file.empty() && IsWanted(key)) {
    const absl::StatusOr<std::string> sha256 =
        keep_artifact_(work.file, [&](const absl::Status&) { return IsWanted(key); });
    if (sha256.ok()) {
      v1::Report report;
      v1::TrainingCheckpoint* const checkpoint = report.mutable_checkpoint();
      checkpoint->set_iteration(work.iteration);
      checkpoint->set_sha256(*sha256);
      checkpoint->set_size_bytes(static_cast<int64_t>(work.file.size()));
      work.gang->SetCheckpoint(member, *checkpoint);
      session_->Add(*work.gang, member, std::move(report));
    }
  }
  if (work.release) {
    v1::Report report;
    report.mutable_released();
    session_->Add(*work.gang, member, std::move(report));
  }
}

}  // namespace modlab
