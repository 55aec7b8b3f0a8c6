#include "worker/gang_runner.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <utility>

#include "lib/config/job_config.h"
#include "spdlog/spdlog.h"

namespace modlab {

// Passes on what trainers say, for all trainers that a gang needs.
class GangRunner::Observer : public GangObserver {
 public:
  Observer(const GangRunner& runner, std::shared_ptr<Gang> gang)
      : runner_(runner),
        gang_(std::move(gang)),
        ended_(gang_->leases().size(), false),
        last_point_(gang_->leases().size(), -1) {}

  // From now on the trainer's members are these of the gang.
  void SetMembers(const std::vector<int>& members) { members_ = members; }

  bool Wants(int member) const {
    return !ended_[static_cast<size_t>(member)] && !gang_->dropped(member);
  }

  // Takes out who is no longer trained; who is to be released is handed back first.
  void RemoveEnded(std::vector<int>* members) {
    for (const int member : *members) {
      if (Wants(member) && gang_->releasing(member)) HandBack(member);
    }
    members->erase(std::remove_if(members->begin(), members->end(),
                                  [this](int member) { return !Wants(member); }),
                   members->end());
  }

  void Fail(int member, v1::FailureCause cause, const std::string& message) {
    v1::Failure failure;
    failure.set_cause(cause);
    failure.set_message(message);
    failure.set_iteration(
        std::max(gang_->checkpoint(member).iteration(), last_point_[static_cast<size_t>(member)]));
    End(member, failure);
  }

  // The member's checkpoint is of no use.
  void BeginAgain(int member, const std::string& why) {
    const v1::Lease& lease = gang_->leases()[static_cast<size_t>(member)];
    const v1::TrainingCheckpoint checkpoint = gang_->checkpoint(member);
    spdlog::error(
        "job={} attempt={}: begins again, its checkpoint of iteration {} ({}) is lost: {}",
        lease.job_id(), lease.attempt(), checkpoint.iteration(), checkpoint.sha256(), why);
    gang_->SetCheckpoint(member, {});
  }

  void OnPoint(int index, const v1::CurvePoint& point) override {
    const Waiting waiting(gang_.get());
    const int member = members_[static_cast<size_t>(index)];
    int64_t& last = last_point_[static_cast<size_t>(member)];
    // A gang that ran out of memory starts again in halves, and measures the
    // same points again.
    if (point.iteration() <= last) return;
    last = point.iteration();
    v1::Report report;
    *report.mutable_point() = point;
    runner_.session_->Add(*gang_, member, std::move(report));
  }

  void OnCheckpoint(int index, int64_t iteration, std::string file) override {
    const Waiting waiting(gang_.get());
    const int member = members_[static_cast<size_t>(index)];
    if (iteration > gang_->checkpoint(member).iteration()) {
      runner_.keeper_->Keep(gang_, member, iteration, std::move(file));
    }
    if (gang_->releasing(member)) HandBack(member);
  }

  void OnFinished(int index, const v1::JobResult& result, const FinalWeights& weights) override {
    const Waiting waiting(gang_.get());
    const int member = members_[static_cast<size_t>(index)];
    v1::Report report;
    v1::JobResult* finished = report.mutable_finished();
    *finished = result;
    *finished->mutable_provenance() = runner_.provenance_;
    if (!Store(member, weights.last, finished->mutable_checkpoint_sha256())) return;
    if (finished->has_best()) {
      std::string* sha256 = finished->mutable_best()->mutable_checkpoint_sha256();
      if (weights.best.empty()) {
        *sha256 = finished->checkpoint_sha256();
      } else if (!Store(member, weights.best, sha256)) {
        return;
      }
    }
    ended_[static_cast<size_t>(member)] = true;
    runner_.session_->Add(*gang_, member, std::move(report));
  }

  void OnFailed(int index, const v1::Failure& failure) override {
    const Waiting waiting(gang_.get());
    End(members_[static_cast<size_t>(index)], failure);
  }

 private:
  // What the trainer tells may have to wait for the coordinator.
  class Waiting {
   public:
    explicit Waiting(Gang* gang) : gang_(gang) { gang_->SetComputing(false); }
    ~Waiting() { gang_->SetComputing(true); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Gang* const gang_;
  };

  // False, and the member has failed, if the file could not be kept.
  bool Store(int member, const std::string& weights, std::string* sha256) {
    absl::StatusOr<std::string> kept = runner_.keep_artifact_(
        weights, [this, member](const absl::Status&) { return Wants(member); });
    if (!kept.ok()) {
      Fail(member, v1::WORKER_ERROR,
           "the final weights could not be stored: " + kept.status().ToString());
      return false;
    }
    *sha256 = *std::move(kept);
    return true;
  }

  // Its last report is the keeper's.
  void HandBack(int member) {
    gang_->Drop(member);
    runner_.keeper_->Release(gang_, member);
  }

  void End(int member, const v1::Failure& failure) {
    v1::Report report;
    *report.mutable_failed() = failure;
    ended_[static_cast<size_t>(member)] = true;
    runner_.session_->Add(*gang_, member, std::move(report));
  }

  const GangRunner& runner_;
  const std::shared_ptr<Gang> gang_;
  std::vector<int> members_;
  std::vector<bool> ended_;
  std::vector<int64_t> last_point_;
};

GangRunner::GangRunner(Session* session, CheckpointKeeper* keeper, TrainerFactory create_trainer,
                       ArtifactSink keep_artifact, ArtifactSource fetch_artifact,
                       v1::Provenance provenance)
    : session_(session),
      keeper_(keeper),
      create_trainer_(std::move(create_trainer)),
      keep_artifact_(std::move(keep_artifact)),
      fetch_artifact_(std::move(fetch_artifact)),
      provenance_(std::move(provenance)) {}

void GangRunner::Run(const std::shared_ptr<Gang>& gang) const {
  Observer observer(*this, gang);
  std::vector<v1::JobConfig> configs;  // one a member of the gang
  std::vector<int> all;
  for (int member = 0; member < gang->size(); ++member) {
    // The coordinator sends canonical configs, but it may be of another version.
    absl::StatusOr<v1::JobConfig> config =
        Canonicalise(gang->leases()[static_cast<size_t>(member)].config());
    if (config.ok()) {
      all.push_back(member);
    } else {
      observer.Fail(member, v1::WORKER_ERROR, config.status().ToString());
    }
    configs.push_back(config.ok() ? *std::move(config) : v1::JobConfig());
  }
  std::vector<std::vector<int>> parts = {all};
  while (!parts.empty()) {
    std::vector<int> members = std::move(parts.back());
    parts.pop_back();
    observer.RemoveEnded(&members);
    if (members.empty()) continue;

    // As they are now: the keeper goes on setting them.
    std::vector<v1::TrainingCheckpoint> standings;
    for (int member = 0; member < gang->size(); ++member) {
      standings.push_back(gang->checkpoint(member));
    }
    const int64_t iteration = standings[static_cast<size_t>(members.front())].iteration();
    const auto others = std::stable_partition(members.begin(), members.end(), [&](int member) {
      return standings[static_cast<size_t>(member)].iteration() == iteration;
    });
    if (others != members.end()) {
      parts.emplace_back(others, members.end());
      members.erase(others, members.end());
    }
    const absl::Status status = Train(gang, members, configs, standings, &observer);
    observer.RemoveEnded(&members);
    if (members.empty()) continue;

    const bool is_full = absl::IsResourceExhausted(status);
    const bool is_refused = absl::IsInvalidArgument(status) && iteration > 0;
    if (absl::IsAborted(status)) {
      parts.push_back(std::move(members));
    } else if (!is_full && !is_refused) {
      const std::string message =
          status.ok() ? "the trainer ended without a result" : status.ToString();
      for (const int member : members) observer.Fail(member, v1::WORKER_ERROR, message);
    } else if (members.size() > 1) {
      const auto middle = members.begin() + static_cast<std::ptrdiff_t>(members.size() / 2);
      parts.emplace_back(middle, members.end());
      parts.emplace_back(members.begin(), middle);
    } else if (is_full) {
      observer.Fail(members.front(), v1::OUT_OF_MEMORY,
                    provenance_.device_name() + " cannot hold this job even alone (" +
                        std::string(status.message()) +
                        "); a smaller model_dim, encoder_dim or batch_size would need less, fewer "
                        "--slots or more --memory-gib of the worker give a slot more, and "
                        "requires.memory_gib of the sweep (--require-memory) keeps its jobs for "
                        "slots that have enough");
    } else {
      observer.BeginAgain(members.front(), std::string(status.message()));
      parts.push_back(std::move(members));
    }
  }
}

absl::Status GangRunner::Train(const std::shared_ptr<Gang>& gang, const std::vector<int>& members,
                               const std::vector<v1::JobConfig>& configs,
                               const std::vector<v1::TrainingCheckpoint>& standings,
                               Observer* observer) const {
  class Computing {
   public:
    explicit Computing(Gang* gang) : gang_(gang) { gang_->SetComputing(true); }
    ~Computing() { gang_->SetComputing(false); }
    Computing(const Computing&) = delete;
    Computing& operator=(const Computing&) = delete;

   private:
    Gang* const gang_;
  };
  // Detaches before the trainer goes, on every way out.
  class Attachment {
   public:
    Attachment(Gang* attached, Trainer* trainer, const std::vector<int>& indices)
        : gang_(attached) {
      gang_->Attach(trainer, indices);
    }
    ~Attachment() { gang_->Detach(); }
    Attachment(const Attachment&) = delete;
    Attachment& operator=(const Attachment&) = delete;

   private:
    Gang* const gang_;
  };

  try {
    std::vector<v1::JobConfig> trained;
    std::vector<std::string> checkpoints;
    for (const int member : members) {
      trained.push_back(configs[static_cast<size_t>(member)]);
      const v1::TrainingCheckpoint& standing = standings[static_cast<size_t>(member)];
      if (standing.iteration() == 0) continue;
      const auto is_wanted = [&] { return observer->Wants(member) && !gang->releasing(member); };
      absl::StatusOr<std::string> file = fetch_artifact_(standing, is_wanted);
      if (file.ok()) {
        checkpoints.push_back(*std::move(file));
        continue;
      }
      if (absl::IsNotFound(file.status()) || absl::IsDataLoss(file.status())) {
        observer->BeginAgain(member, std::string(file.status().message()));
      } else if (is_wanted()) {
        observer->Fail(member, v1::WORKER_ERROR,
                       "the checkpoint of iteration " + std::to_string(standing.iteration()) +
                           " (" + standing.sha256() +
                           ") cannot be fetched: " + file.status().ToString());
      }
      return absl::AbortedError("a member cannot go on");
    }
    const Computing computing(gang.get());
    absl::StatusOr<std::unique_ptr<Trainer>> trainer = create_trainer_(trained, checkpoints);
    if (!trainer.ok()) return trainer.status();
    checkpoints = {};
    observer->SetMembers(members);
    const Attachment attachment(gang.get(), trainer->get(), members);
    return (*trainer)->Run(observer);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  } catch (...) {
    return absl::InternalError("the trainer threw something that is no std::exception");
  }
}

}  // namespace modlab
