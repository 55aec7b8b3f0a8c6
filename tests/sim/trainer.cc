#include "tests/sim/trainer.h"

#include <algorithm>
#include <utility>

namespace modlab {
namespace sim {

namespace {

constexpr int64_t kStepsAtOnce = 5;
constexpr int64_t kLongUs = 1'000'000'000;

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> SimTrainer::Create(
    const std::vector<v1::JobConfig>& configs, const std::vector<std::string>& checkpoints,
    const Machine& machine, Process* process, Random* random, std::function<void()> kill,
    std::function<bool()> hangs) {
  if (!process->alive()) return absl::InternalError("the process is dead");
  if (static_cast<int>(configs.size()) > machine.gang_max) {
    return absl::ResourceExhaustedError("the gang is too large");
  }
  std::vector<Model> models;
  for (size_t i = 0; i < configs.size(); ++i) {
    if (checkpoints.empty()) {
      models.emplace_back(configs[i]);
    } else {
      absl::StatusOr<Model> model = Model::FromCheckpoint(configs[i], checkpoints[i]);
      if (!model.ok()) return model.status();
      models.push_back(*std::move(model));
    }
    if (models[i].fate() == Fate::kNeedsTooMuchMemory) {
      return absl::ResourceExhaustedError("the job is too large");
    }
    if (models[i].iteration() != models[0].iteration()) {
      return absl::InvalidArgumentError("checkpoints of different iterations");
    }
  }
  return std::unique_ptr<Trainer>(new SimTrainer(std::move(models), machine, process, random,
                                                 std::move(kill), std::move(hangs)));
}

SimTrainer::SimTrainer(std::vector<Model> models, const Machine& machine, Process* process,
                       Random* random, std::function<void()> kill, std::function<bool()> hangs)
    : models_(std::move(models)),
      gone_(models_.size(), false),
      machine_(machine),
      process_(process),
      random_(random),
      kill_(std::move(kill)),
      hangs_(std::move(hangs)) {
  progress_.iteration = models_.front().iteration();
  progress_.iterations_per_second = 1e6 / static_cast<double>(machine.step_us);
}

bool SimTrainer::AllGone() const {
  return std::find(gone_.begin(), gone_.end(), false) == gone_.end();
}

void SimTrainer::ForEach(const std::function<void(int, Model*)>& visit) {
  for (size_t i = 0; i < models_.size(); ++i) {
    if (!gone_[i]) visit(static_cast<int>(i), &models_[i]);
  }
}

bool SimTrainer::GoOn(int64_t delay_us, GangObserver* observer) {
  if (!process_->Sleep(delay_us)) return false;
  if (hangs_()) {
    while (process_->Sleep(kLongUs)) {
    }
    return false;
  }
  ++progress_.pulse;
  if (checkpoints_requested_) {
    checkpoints_requested_ = false;
    ForEach([&](int i, Model* model) {
      observer->OnCheckpoint(i, model->iteration(), model->Checkpoint());
    });
  }
  return !AllGone();
}

absl::Status SimTrainer::Run(GangObserver* observer) {
  const absl::Status ended =
      absl::CancelledError("every member was dropped, or the process is dead");
  bool someone_ended = false;
  if (models_.front().iteration() == 0) {
    if (!GoOn(machine_.step_us, observer)) return ended;
    ForEach([&](int i, Model* model) { observer->OnPoint(i, model->Point()); });
  }
  int64_t steps = 0;
  while (!AllGone()) {
    const int64_t iteration = progress_.iteration;
    bool is_over = false;
    ForEach([&is_over](int, Model* model) { is_over = model->finished(); });
    if (is_over) break;
    ForEach([](int, Model* model) { model->Step(); });
    progress_.iteration = iteration + 1;
    ForEach([&](int i, Model* model) {
      if (!model->at_its_fate()) return;
      if (model->fate() == Fate::kKillsItsWorker) {
        kill_();
        process_->Sleep(kLongUs);
        return;
      }
      v1::Failure failure;
      failure.set_cause(v1::DIVERGED);
      failure.set_message("the loss is not a number");
      failure.set_iteration(model->iteration());
      gone_[static_cast<size_t>(i)] = true;
      someone_ended = true;
      observer->OnFailed(i, failure);
    });
    if (!process_->alive()) return ended;
    ForEach([&](int i, Model* model) {
      if (model->IsPoint()) observer->OnPoint(i, model->Point());
    });
    if (random_->Chance(machine_.error_chance)) return absl::InternalError("the device is odd");
    if (++steps % kStepsAtOnce == 0 && !GoOn(kStepsAtOnce * machine_.step_us, observer)) break;
  }
  // The final evaluation, in two parts.
  for (int part = 0; part < 2 && !AllGone(); ++part) {
    if (!GoOn(2 * machine_.step_us, observer)) break;
  }
  if (!process_->alive()) return ended;
  ForEach([&](int i, Model* model) {
    FinalWeights weights;
    const v1::JobResult result = model->Result(&weights);
    gone_[static_cast<size_t>(i)] = true;
    someone_ended = true;
    observer->OnFinished(i, result, weights);
  });
  return someone_ended ? absl::OkStatus() : ended;
}

}  // namespace sim
}  // namespace modlab
