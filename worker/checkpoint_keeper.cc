#include "worker/checkpoint_keeper.h"

#include <cstddef>

#include "absl/status/status.h"
#include "modlab/v1/job.pb.h"
#include "spdlog/spdlog.h"

namespace modlab {
namespace {

// How often one that waits for room looks whether its lease is still wanted.
constexpr std::chrono::milliseconds kLookInterval(100);
// Of what the coordinator refuses, and there will be a newer one of.
constexpr int kTriesMax = 2;

int64_t Bytes(const std::string& file) { return static_cast<int64_t>(file.size()); }

}  // namespace

CheckpointKeeper::CheckpointKeeper(Session* session, ArtifactSink keep_artifact, Limits limits)
    : session_(session),
      keep_artifact_(std::move(keep_artifact)),
      limits_(limits),
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
  if (Bytes(file) > limits_.file_bytes_max) {
    // The same at every interval, and for all of its shape.
    if (!has_told_of_large_) {
      spdlog::warn(
          "job={} attempt={}: trained without checkpoints, as all whose checkpoints have more "
          "than {} bytes: its has {}",
          lease.job_id(), lease.attempt(), limits_.file_bytes_max, Bytes(file));
    }
    has_told_of_large_ = true;
    return;
  }
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
  return stopping_ || others == 0 || others + bytes <= limits_.waiting_bytes_max;
}

void CheckpointKeeper::Release(const std::shared_ptr<Gang>& gang, int member) {
  const MutexLock lock(&mutex_);
  Find(gang, member)->release = true;
  changed_.NotifyAll();
}

// Whether the file in hand, of this lease, is.
bool CheckpointKeeper::IsWanted(const Key& key) const {
  if (!session_->Wants(*key.first, key.second)) return false;
  const MutexLock lock(&mutex_);
  const auto found = waiting_.find(key);
  const bool has_newer = found != waiting_.end() && !found->second.file.empty();
  return !stopping_ && !has_newer;
}

void CheckpointKeeper::Run() {
  mutex_.Lock();
  while (true) {
    if (line_.empty()) refused_since_.reset();
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

absl::StatusOr<std::string> CheckpointKeeper::Store(const Key& key, const Work& work) {
  int refusals = 0;
  absl::StatusOr<std::string> sha256 = keep_artifact_(work.file, [&](const absl::Status& error) {
    if (!IsWanted(key)) return false;
    // Nor would what waits behind it get through, or be heard of.
    if (absl::IsUnavailable(error)) return true;
    const auto now = std::chrono::steady_clock::now();
    if (!refused_since_.has_value()) refused_since_ = now;
    return work.gang->releasing(key.second) ? now - *refused_since_ < limits_.release_patience
                                            : ++refusals < kTriesMax;
  });
  if (sha256.ok()) refused_since_.reset();
  return sha256;
}

void CheckpointKeeper::Do(const Key& key, const Work& work) {
  const int member = key.second;
  const v1::Lease& lease = work.gang->leases()[static_cast<size_t>(member)];
  if (!work.file.empty() && IsWanted(key)) {
    const absl::StatusOr<std::string> sha256 = Store(key, work);
    if (sha256.ok()) {
      v1::Report report;
      v1::TrainingCheckpoint* checkpoint = report.mutable_checkpoint();
      checkpoint->set_iteration(work.iteration);
      checkpoint->set_sha256(*sha256);
      checkpoint->set_size_bytes(Bytes(work.file));
      work.gang->SetCheckpoint(member, *checkpoint);
      session_->Add(*work.gang, member, std::move(report));
    } else if (IsWanted(key)) {
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
