#include "worker/checkpoint_keeper.h"

#include <cstddef>

#include "absl/status/status.h"
#include "modlab/v1/job.pb.h"
#include "spdlog/spdlog.h"

namespace modlab {
namespace {

// How often one that waits for room looks whether its lease is still wanted.
constexpr std::chrono::milliseconds kLookInterval(100);

int64_t Bytes(const std::string& file) { return static_cast<int64_t>(file.size()); }

}  // namespace

CheckpointKeeper::CheckpointKeeper(Session* session, ArtifactSink keep_artifact, int64_t bytes_max)
    : session_(session),
      keep_artifact_(std::move(keep_artifact)),
      bytes_max_(bytes_max),
      thread_([this] { Run(); }) {}

CheckpointKeeper::~CheckpointKeeper() {
  Stop(std::chrono::milliseconds(0));
  thread_.join();
}

bool CheckpointKeeper::Stop(std::chrono::milliseconds grace) {
  const auto deadline = std::chrono::steady_clock::now() + grace;
  const MutexLock lock(&mutex_);
  stopping_ = true;
  changed_.NotifyAll();
  while (!ended_ && changed_.WaitUntil(&mutex_, deadline)) {
  }
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
  const v1::Lease& lease = gang->leases()[static_cast<size_t>(member)];
  const MutexLock lock(&mutex_);
  while (!HasRoom({gang.get(), member}, Bytes(file))) {
    if (!gang->releasing(member) || !session_->Wants(*gang, member)) {
      spdlog::warn(
          "job={} attempt={}: no room to keep the checkpoint of iteration {}: {} bytes wait",
          lease.job_id(), lease.attempt(), iteration, bytes_);
      return;
    }
    changed_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kLookInterval);
  }
  if (stopping_) return;
  Work* work = Find(gang, member);
  bytes_ += Bytes(file) - Bytes(work->file);
  work->iteration = iteration;
  work->file = std::move(file);
  changed_.NotifyAll();
}

bool CheckpointKeeper::HasRoom(const Key& key, int64_t bytes) const {
  const auto found = waiting_.find(key);
  const int64_t others = bytes_ - (found == waiting_.end() ? 0 : Bytes(found->second.file));
  return stopping_ || others == 0 || others + bytes <= bytes_max_;
}

void CheckpointKeeper::Release(const std::shared_ptr<Gang>& gang, int member) {
  const MutexLock lock(&mutex_);
  Find(gang, member)->release = true;
  changed_.NotifyAll();
}

bool CheckpointKeeper::HasNewerFile(const Key& key) const {
  const MutexLock lock(&mutex_);
  const auto found = waiting_.find(key);
  return stopping_ || (found != waiting_.end() && !found->second.file.empty());
}

void CheckpointKeeper::Run() {
  mutex_.Lock();
  while (true) {
    while (!stopping_ && line_.empty()) changed_.Wait(&mutex_);
    if (stopping_) break;
    const Key key = line_.front();
    line_.pop_front();
    const Work work = std::move(waiting_.extract(key).mapped());
    mutex_.Unlock();
    Do(key, work);
    mutex_.Lock();
    bytes_ -= Bytes(work.file);
    changed_.NotifyAll();
  }
  ended_ = true;
  changed_.NotifyAll();
  mutex_.Unlock();
}

void CheckpointKeeper::Do(const Key& key, const Work& work) {
  const int member = key.second;
  const v1::Lease& lease = work.gang->leases()[static_cast<size_t>(member)];
  if (!work.file.empty()) {
    const absl::StatusOr<std::string> sha256 = keep_artifact_(
        work.file, [&] { return session_->Wants(*work.gang, member) && !HasNewerFile(key); });
    if (sha256.ok()) {
      v1::Report report;
      v1::TrainingCheckpoint* checkpoint = report.mutable_checkpoint();
      checkpoint->set_iteration(work.iteration);
      checkpoint->set_sha256(*sha256);
      checkpoint->set_size_bytes(Bytes(work.file));
      work.gang->SetCheckpoint(member, *checkpoint);
      session_->Add(*work.gang, member, std::move(report));
    } else if (!absl::IsCancelled(sha256.status())) {
      spdlog::warn("job={} attempt={}: the checkpoint of iteration {} cannot be kept: {}",
                   lease.job_id(), lease.attempt(), work.iteration, sha256.status().ToString());
    }
  }
  if (work.release) {
    v1::Report report;
    report.mutable_released();
    session_->Add(*work.gang, member, std::move(report));
  }
}

}  // namespace modlab
