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
  while (!HasRoom(*gang, member, Bytes(file))) {
    if (!gang->releasing(member) || !session_->Wants(*gang, member)) {
      spdlog::warn(
          "job={} attempt={}: no room to keep the checkpoint of iteration {}: {} bytes wait",
          lease.job_id(), lease.attempt(), iteration, line_.bytes());
      return;
    }
    changed_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kLookInterval);
  }
  if (stopping_) return;
  line_.Put(gang, member, iteration, std::move(file));
  changed_.NotifyAll();
}

bool CheckpointKeeper::HasRoom(const Gang& gang, int member, int64_t bytes) const {
  const int64_t others = line_.BytesBeside(gang, member);
  return stopping_ || others == 0 || others + bytes <= limits_.waiting_bytes_max;
}

void CheckpointKeeper::Release(const std::shared_ptr<Gang>& gang, int member) {
  const MutexLock lock(&mutex_);
  line_.Release(gang, member);
  changed_.NotifyAll();
}

bool CheckpointKeeper::IsWanted(const CheckpointLine::Work& work) const {
  if (!session_->Wants(*work.gang, work.member)) return false;
  const MutexLock lock(&mutex_);
  return !stopping_ && !line_.HasNewer(work);
}

void CheckpointKeeper::Run() {
  mutex_.Lock();
  while (true) {
    if (line_.empty()) refused_since_.reset();
    while (!stopping_ && line_.empty()) changed_.Wait(&mutex_);
    if (stopping_) break;
    const CheckpointLine::Work work = line_.Take();
    mutex_.Unlock();
    Do(work);
    mutex_.Lock();
    line_.Done(work);
    changed_.NotifyAll();
  }
  ended_ = true;
  changed_.NotifyAll();
  mutex_.Unlock();
}

absl::StatusOr<std::string> CheckpointKeeper::Store(const CheckpointLine::Work& work) {
  int refusals = 0;
  absl::StatusOr<std::string> sha256 = keep_artifact_(work.file, [&](const absl::Status& error) {
    if (!IsWanted(work)) return false;
    // Nor would what waits behind it get through, or be heard of.
    if (absl::IsUnavailable(error)) return true;
    const auto now = std::chrono::steady_clock::now();
    if (!refused_since_.has_value()) refused_since_ = now;
    return work.gang->releasing(work.member) ? now - *refused_since_ < limits_.release_patience
                                             : ++refusals < kTriesMax;
  });
  if (sha256.ok()) refused_since_.reset();
  return sha256;
}

void CheckpointKeeper::Do(const CheckpointLine::Work& work) {
  if (!work.file.empty() && IsWanted(work)) {
    const absl::StatusOr<std::string> sha256 = Store(work);
    if (sha256.ok()) {
      ReportStored(work, *sha256, session_);
    } else if (IsWanted(work)) {
      const v1::Lease& lease = work.gang->leases()[static_cast<size_t>(work.member)];
      spdlog::warn("job={} attempt={}: the checkpoint of iteration {} cannot be kept: {}",
                   lease.job_id(), lease.attempt(), work.iteration, sha256.status().ToString());
    }
  }
  if (work.release) ReportReleased(work, session_);
}

}  // namespace modlab
