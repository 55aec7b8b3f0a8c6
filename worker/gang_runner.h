// Trains one gang after another on a slot's thread and tells the session.

#ifndef MODLAB_WORKER_GANG_RUNNER_H_
#define MODLAB_WORKER_GANG_RUNNER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/train/trainer.h"
#include "modlab/v1/job.pb.h"
#include "worker/gang.h"
#include "worker/session.h"

namespace modlab {

// Trainer::Create() for the worker's device.
using TrainerFactory = std::function<absl::StatusOr<std::unique_ptr<Trainer>>(
    const std::vector<v1::JobConfig>& canonical)>;

// Keeps a file and returns its SHA-256, in hex. Blocks, and tries again for as
// long as trying again can help and `is_wanted` says so.
using ArtifactSink = std::function<absl::StatusOr<std::string>(
    absl::string_view content, const std::function<bool()>& is_wanted)>;

// Has no state of its own between gangs, so one serves all slots. Thread-safe
// as far as the factory and the sink are.
class GangRunner {
 public:
  // `provenance` is stamped on every result. `session` must outlive the runner.
  GangRunner(Session* session, TrainerFactory create_trainer, ArtifactSink keep_artifact,
             v1::Provenance provenance);

  // Returns once every member has finished, failed or been dropped; each that
  // was not dropped has had its last report. Whatever goes wrong fails members,
  // never the process: a gang that does not fit into memory is trained in two
  // halves, a single job that does not fit fails as OUT_OF_MEMORY, and any other
  // error or exception fails the gang's members as WORKER_ERROR.
  void Run(Gang* gang) const;

 private:
  class Observer;

  // `configs` has one config for every member of the gang.
  absl::Status Train(Gang* gang, const std::vector<int>& members,
                     const std::vector<v1::JobConfig>& configs, Observer* observer) const;

  Session* const session_;
  const TrainerFactory create_trainer_;
  const ArtifactSink keep_artifact_;
  const v1::Provenance provenance_;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_GANG_RUNNER_H_
