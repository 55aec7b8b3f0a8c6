// Trains one gang after another on a slot's thread and tells the session.

#ifndef MODLAB_WORKER_GANG_RUNNER_H_
#define MODLAB_WORKER_GANG_RUNNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/train/trainer.h"
#include "modlab/v1/job.pb.h"
#include "worker/checkpoint_keeper.h"
#include "worker/gang.h"
#include "worker/session.h"

namespace modlab {

// Trainer::Create() for the worker's device.
using TrainerFactory = std::function<absl::StatusOr<std::unique_ptr<Trainer>>(
    const std::vector<v1::JobConfig>& canonical, const std::vector<std::string>& checkpoints)>;

// The file of a checkpoint. Blocks, and tries again for as long as trying again can
// help and `is_wanted` says so; CANCELLED once it does not. NOT_FOUND: it is gone.
// DATA_LOSS: it is damaged.
using ArtifactSource = std::function<absl::StatusOr<std::string>(
    const v1::TrainingCheckpoint& checkpoint, const std::function<bool()>& is_wanted)>;

// Has no state of its own between gangs, so one serves all slots. Thread-safe
// as far as the factory, the sink and the source are.
class GangRunner {
 public:
  // `provenance` is stamped on every result. `session` and `keeper` must outlive the
  // runner; `keep_artifact` is for the weights of results.
  GangRunner(Session* session, CheckpointKeeper* keeper, TrainerFactory create_trainer,
             ArtifactSink keep_artifact, ArtifactSource fetch_artifact, v1::Provenance provenance);

  // Returns once every member has finished, failed, been dropped or been given to the
  // keeper to be released; each that was not dropped has had its last report, or will
  // have it from the keeper. Members go on from their checkpoints; those of different
  // iterations (an older coordinator's, or where one's checkpoint is gone) are trained
  // one group after the other.
  //
  // Whatever goes wrong fails members, never the process: a gang that does not fit
  // into memory is trained in two halves, a single job that does not fit fails as
  // OUT_OF_MEMORY, a checkpoint that is gone or damaged is told of in the log and its
  // job begins again, and any other error or exception fails the members concerned as
  // WORKER_ERROR.
  void Run(const std::shared_ptr<Gang>& gang) const;

 private:
  class Observer;

  // `configs` and `standings` have one entry for every member of the gang; `members`
  // stand at one iteration. ABORTED: one of them has ended, or begins again; look
  // again. INVALID_ARGUMENT: a checkpoint is not accepted, if there are any.
  absl::Status Train(const std::shared_ptr<Gang>& gang, const std::vector<int>& members,
                     const std::vector<v1::JobConfig>& configs,
                     const std::vector<v1::TrainingCheckpoint>& standings,
                     Observer* observer) const;

  Session* const session_;
  CheckpointKeeper* const keeper_;
  const TrainerFactory create_trainer_;
  const ArtifactSink keep_artifact_;
  const ArtifactSource fetch_artifact_;
  const v1::Provenance provenance_;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_GANG_RUNNER_H_
