#include "worker/gang_runner.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <utility>

#include "lib/config/job_config.h"

namespace modlab {

// Passes on what trainers say, for all trainers that a gang needs.
class GangRunner::Observer : public GangObserver {
 public:
  Observer(const GangRunner& runner, Gang* gang)
      : runner_(runner),
        gang_(gang),
        ended_(gang->leases().size(), false),
        last_point_(gang->leases().size(), -1) {}

  // From now on the trainer's members are these of the gang.
  void SetMembers(const std::vector<int>& members) { members_ = members; }

  bool Wants(int member) const {
    return !ended_[static_cast<size_t>(member)] && !gang_->dropped(member);
  }

  void Fail(int member, v1::FailureCause cause, const std::string& message) {
    v1::Failure failure;
    failure.set_cause(cause);
    failure.set_message(message);
    failure.set_iteration(std::max(int64_t{0}, last_point_[static_cast<size_t>(member)]));
    End(member, failure);
  }

  void OnPoint(int index, const v1::CurvePoint& point) override {
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

  void OnFinished(int index, const v1::JobResult& result, const FinalWeights& weights) override {
    const int member = members_[static_cast<size_t>(index)];
    v1::Report report;
    v1::JobResult* finished = report.mutable_finished();
    *finished = result;
    *finished->mutable_provenance() = runner_.provenance_;
    if (!Keep(member, weights.last, finished->mutable_checkpoint_sha256())) return;
    if (finished->has_best()) {
      std::string* sha256 = finished->mutable_best()->mutable_checkpoint_sha256();
      if (weights.best.empty()) {
        *sha256 = finished->checkpoint_sha256();
      } else if (!Keep(member, weights.best, sha256)) {
        return;
      }
    }
    ended_[static_cast<size_t>(member)] = true;
    runner_.session_->Add(*gang_, member, std::move(report));
  }

  void OnFailed(int index, const v1::Failure& failure) override {
    End(members_[static_cast<size_t>(index)], failure);
  }

 private:
  // False, and the member has failed, if the file could not be kept.
  bool Keep(int member, const std::string& weights, std::string* sha256) {
    absl::StatusOr<std::string> kept =
        runner_.keep_artifact_(weights, [this, member] { return Wants(member); });
    if (!kept.ok()) {
      Fail(member, v1::WORKER_ERROR,
           "the final weights could not be stored: " + kept.status().ToString());
      return false;
    }
    *sha256 = *std::move(kept);
    return true;
  }

  void End(int member, const v1::Failure& failure) {
    v1::Report report;
    *report.mutable_failed() = failure;
    ended_[static_cast<size_t>(member)] = true;
    runner_.session_->Add(*gang_, member, std::move(report));
  }

  const GangRunner& runner_;
  Gang* const gang_;
  std::vector<int> members_;
  std::vector<bool> ended_;
  std::vector<int64_t> last_point_;
};

GangRunner::GangRunner(Session* session, TrainerFactory create_trainer, ArtifactSink keep_artifact,
                       v1::Provenance provenance)
    : session_(session),
      create_trainer_(std::move(create_trainer)),
      keep_artifact_(std::move(keep_artifact)),
      provenance_(std::move(provenance)) {}

void GangRunner::Run(Gang* gang) const {
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
    const auto remove_unwanted = [&] {
      members.erase(std::remove_if(members.begin(), members.end(),
                                   [&](int member) { return !observer.Wants(member); }),
                    members.end());
    };
    remove_unwanted();
    if (members.empty()) continue;
    const absl::Status status = Train(gang, members, configs, &observer);
    remove_unwanted();
    if (members.empty()) continue;

    if (!absl::IsResourceExhausted(status)) {
      const std::string message =
          status.ok() ? "the trainer ended without a result" : status.ToString();
      for (const int member : members) observer.Fail(member, v1::WORKER_ERROR, message);
    } else if (members.size() == 1) {
      observer.Fail(members.front(), v1::OUT_OF_MEMORY,
                    provenance_.device_name() + " cannot hold this job even alone (" +
                        std::string(status.message()) +
                        "); a smaller model_dim, encoder_dim or batch_size would need less");
    } else {
      const auto middle = members.begin() + static_cast<std::ptrdiff_t>(members.size() / 2);
      parts.emplace_back(middle, members.end());
      parts.emplace_back(members.begin(), middle);
    }
  }
}

absl::Status GangRunner::Train(Gang* gang, const std::vector<int>& members,
                               const std::vector<v1::JobConfig>& configs,
                               Observer* observer) const {
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
    for (const int member : members) trained.push_back(configs[static_cast<size_t>(member)]);
    absl::StatusOr<std::unique_ptr<Trainer>> trainer = create_trainer_(trained);
    if (!trainer.ok()) return trainer.status();
    observer->SetMembers(members);
    const Attachment attachment(gang, trainer->get(), members);
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
