#include "server/engine/ledger.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "spdlog/spdlog.h"

namespace modlab {

Ledger::Ledger(Store::Writer* writer, const Queue::Options& options)
    : writer_(writer), options_(options), queue_(std::make_unique<Queue>(options)) {}

absl::Status Ledger::Load(int64_t now_us) {
  auto fresh = std::make_unique<Queue>(options_);
  absl::Status status =
      writer_->LoadSweeps([&](const QueuedSweep& sweep) { fresh->SetSweep(sweep); });
  if (status.ok()) {
    status = writer_->LoadDrainRequests(
        [&](absl::string_view worker_id) { fresh->AskToDrain(worker_id); });
  }
  Quarantines quarantines;
  if (status.ok()) {
    status = writer_->LoadQuarantines([&](const Quarantine& quarantine) {
      quarantines.places[quarantine.place] = quarantine;
      // Later the queue before knows better.
      if (!loaded_) fresh->RestoreQuarantine(quarantine, now_us);
    });
  }
  std::deque<int64_t> unwanted;
  if (status.ok()) {
    status = writer_->LoadUnfinished([&](const UnfinishedJob& job) {
      fresh->AddJob(job, now_us);
      if (job.sweeps.empty()) unwanted.push_back(job.id);
    });
  }
  stale_ = !status.ok();
  if (!status.ok()) return status;
  if (loaded_) fresh->AdoptWorkers(*queue_);
  loaded_ = true;
  quarantines_ = std::move(quarantines);
  unwanted_ = std::move(unwanted);
  queue_ = std::move(fresh);
  return absl::OkStatus();
}

absl::Status Ledger::Run(const Step& step, int64_t now_us) {
  step_wrote_ = false;
  if (!lost_.ok()) return lost_;
  absl::Status status = Refresh(now_us);
  if (!status.ok()) return status;
  const uint64_t revision = queue_->revision();
  const Tally before = tally_;
  const std::optional<uint64_t> kept = quarantines_.revision;
  status = step(this, now_us);
  if (status.ok() && step_wrote_) status = writer_->ReleaseSavepoint();
  if (status.ok()) return status;
  tally_ = before;
  if (step_wrote_) UndoStep(status);
  stale_ = queue_->revision() != revision || quarantines_.revision != kept;
  return status;
}

void Ledger::UndoStep(const absl::Status& why) {
  absl::Status undone = writer_->RollbackToSavepoint();
  if (undone.ok()) return;
  // A bad disk may have ended the whole transaction, and with it what earlier steps
  // wrote. Whoever waits for those has done nothing wrong.
  lost_ = IsTrouble(why) ? why : absl::InternalError(undone.message());
}

absl::Status Ledger::Commit() {
  if (!open_) return absl::OkStatus();
  open_ = false;
  Tally counted = std::exchange(tally_, Tally());
  // For people to look at; nothing depends on it.
  const auto start = std::chrono::steady_clock::now();
  absl::Status status = std::exchange(lost_, absl::OkStatus());
  if (status.ok()) status = writer_->Commit();
  if (status.ok()) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    counted.commits.Add(passed.count());
    committed_ += counted;
    return status;
  }
  spdlog::error("nothing was written: {}", status.ToString());
  writer_->Rollback();
  stale_ = true;
  return status;
}

absl::Status Ledger::Refresh(int64_t now_us) { return stale_ ? Load(now_us) : absl::OkStatus(); }

absl::StatusOr<Store::Writer*> Ledger::Write() {
  if (step_wrote_) return writer_;
  if (!open_) {
    absl::Status status = writer_->Begin();
    if (!status.ok()) return status;
    open_ = true;
  }
  absl::Status status = writer_->Savepoint();
  if (!status.ok()) return status;
  step_wrote_ = true;
  return writer_;
}

}  // namespace modlab
