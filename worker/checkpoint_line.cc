#include "worker/checkpoint_line.h"

#include <utility>

#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {
namespace {

int64_t Bytes(const std::string& file) { return static_cast<int64_t>(file.size()); }

}  // namespace

CheckpointLine::Work* CheckpointLine::Find(const std::shared_ptr<Gang>& gang, int member) {
  const Key key(gang.get(), member);
  const auto [it, is_new] = waiting_.try_emplace(key);
  if (is_new) {
    it->second.gang = gang;
    it->second.member = member;
    line_.push_back(key);
  }
  return &it->second;
}

void CheckpointLine::Put(const std::shared_ptr<Gang>& gang, int member, int64_t iteration,
                         std::string file) {
  Work* const work = Find(gang, member);
  bytes_ += Bytes(file) - Bytes(work->file);
  work->iteration = iteration;
  work->file = std::move(file);
}

void CheckpointLine::Release(const std::shared_ptr<Gang>& gang, int member) {
  Find(gang, member)->release = true;
}

CheckpointLine::Work CheckpointLine::Take() {
  const Key key = line_.front();
  line_.pop_front();
  return std::move(waiting_.extract(key).mapped());
}

void CheckpointLine::Done(const Work& work) { bytes_ -= Bytes(work.file); }

bool CheckpointLine::HasNewer(const Work& taken) const {
  const auto found = waiting_.find({taken.gang.get(), taken.member});
  return found != waiting_.end() && !found->second.file.empty();
}

int64_t CheckpointLine::BytesBeside(const Gang& gang, int member) const {
  const auto found = waiting_.find({&gang, member});
  return bytes_ - (found == waiting_.end() ? 0 : Bytes(found->second.file));
}

void ReportStored(const CheckpointLine::Work& work, absl::string_view sha256, Session* session) {
  v1::Report report;
  v1::TrainingCheckpoint* const checkpoint = report.mutable_checkpoint();
  checkpoint->set_iteration(work.iteration);
  checkpoint->set_sha256(std::string(sha256));
  checkpoint->set_size_bytes(Bytes(work.file));
  work.gang->SetCheckpoint(work.member, *checkpoint);
  session->Add(*work.gang, work.member, std::move(report));
}

void ReportReleased(const CheckpointLine::Work& work, Session* session) {
  v1::Report report;
  report.mutable_released();
  session->Add(*work.gang, work.member, std::move(report));
}

}  // namespace modlab
