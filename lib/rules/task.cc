#include "lib/rules/task.h"

#include <memory>

#include "lib/rules/mha_task.h"
#include "lib/rules/mlp_task.h"
#include "lib/rules/rnn_task.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

std::unique_ptr<Task> MakeTask(const v1::JobConfig& canonical) {
  switch (canonical.architecture()) {
    case v1::MHA:
      return std::make_unique<MhaTask>(canonical);
    case v1::RNN:
      return std::make_unique<RnnTask>(canonical);
    default:
      return std::make_unique<MlpTask>(canonical);
  }
}

}  // namespace modlab
