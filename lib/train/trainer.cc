#include "lib/train/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "lib/config/words.h"
#include "lib/models/model.h"
#include "lib/models/parameters.h"
#include "lib/train/adam.h"
#include "lib/train/best_weights.h"
#include "lib/train/checkpoint.h"
#include "lib/train/device.h"
#include "lib/train/evaluation.h"
#include "lib/train/guard.h"
#include "lib/train/sampler.h"
#include "lib/train/stack.h"
#include "lib/train/weights.h"
#include "lib/weights/safetensors.h"

namespace modlab {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Null if all are finite.
const v1::MetricValue* FirstNotFinite(
    const google::protobuf::RepeatedPtrField<v1::MetricValue>& values) {
  for (const v1::MetricValue& value : values) {
    if (!std::isfinite(value.value())) return &value;
  }
  return nullptr;
}

class GangTrainer : public Trainer {
 public:
  // Stacks of `stack_size` jobs, or at most so many if that is to be measured.
  GangTrainer(const std::vector<v1::JobConfig>& configs, const at::Device& device,
              int64_t stack_size, bool measures)
      : configs_(configs),
        shape_(configs.front()),
        model_(MakeModel(shape_)),
        parameters_(model_->Specs(), static_cast<int64_t>(configs.size()),
                    at::TensorOptions().dtype(at::kFloat).device(device)),
        best_(shape_, parameters_),
        sampler_(configs, device),
        evaluation_(shape_, *model_,
                    [this] {
                      ++progress_.pulse;
                      SaveIfAsked();
                      return AnyWanted();
                    }),
        stacks_(shape_, *model_, stack_size, measures),
        measured_(configs.size(), false),
        dropped_(configs.size()) {
    std::vector<double> learning_rates;
    for (size_t i = 0; i < configs.size(); ++i) {
      parameters_.Initialise(static_cast<int64_t>(i), configs[i]);
      learning_rates.push_back(configs[i].learning_rate());
      members_.push_back(static_cast<int>(i));
    }
    adam_.emplace(parameters_, learning_rates);
    parameters_.RequireGradients();
    loss_sum_ = at::zeros({parameters_.jobs()}, parameters_.flat().options().dtype(at::kDouble));
    stacks_.Set(parameters_, *adam_, sampler_, loss_sum_);
  }

  // Where each member left off. To be called before Run().
  absl::Status Load(const std::vector<std::string>& checkpoints) {
    for (size_t j = 0; j < checkpoints.size(); ++j) {
      absl::Status status = LoadMember(j, checkpoints[j]);
      if (!status.ok()) {
        return absl::Status(status.code(), absl::StrCat("checkpoint of member ", j, ": ",
                                                        std::string(status.message())));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Run(GangObserver* observer) override {
    observer_ = observer;
    return Guard([&] { return RunGuarded(); });
  }

  void RequestCheckpoints() override { checkpoints_asked_.store(true); }

  void Drop(int member) override { dropped_[static_cast<size_t>(member)].store(true); }

  const GangProgress& progress() const override { return progress_; }

 private:
  absl::Status RunGuarded() {
    const Clock::time_point start = Clock::now();
    const std::vector<int64_t> evaluations = EvaluationIterations(shape_);
    for (size_t index = 0; index < evaluations.size(); ++index) {
      const int64_t until = evaluations[index];
      // Before the checkpoints.
      if (until < done_ || (until == done_ && AllMeasured())) continue;
      const int64_t first = index == 0 ? 0 : evaluations[index - 1];
      const int64_t section_first = done_;
      const Clock::time_point section_start = Clock::now();
      while (done_ < until) {
        SaveIfAsked();
        if (!KeepWanted()) return Ended();
        Step();
        progress_.iteration.store(done_);
        ++progress_.pulse;
        if (done_ - section_first >= kSpeedWindow && SecondsSince(section_start) > 0) {
          progress_.iterations_per_second.store(static_cast<double>(done_ - section_first) /
                                                SecondsSince(section_start));
        }
      }
      const double speed = static_cast<double>(done_ - section_first) / SecondsSince(section_start);
      Evaluate(first, static_cast<int64_t>(index), speed);
      if (!KeepWanted()) return Ended();
    }
    Finish(SecondsSince(start));
    return Ended();
  }

  // Of a run that is over.
  absl::Status Ended() const {
    return any_ended_ ? absl::OkStatus() : absl::CancelledError("every member was dropped");
  }

  // Hands the observer the checkpoints that it asked for.
  void SaveIfAsked() {
    if (!checkpoints_asked_.exchange(false)) return;
    // From a device all numbers at once.
    const at::Tensor weights = parameters_.flat().to(at::kCPU);
    const at::Tensor mean = adam_->mean().to(at::kCPU);
    const at::Tensor mean_square = adam_->mean_square().to(at::kCPU);
    const at::Tensor best = best_.kept() ? best_.weights().to(at::kCPU) : at::Tensor();
    // Beginning with another each time: who takes them may not have room for all.
    const size_t first = saves_++ * (members_.size() / 3 + 1);
    for (size_t i = 0; i < members_.size(); ++i) {
      const size_t j = (first + i) % members_.size();
      if (dropped_[static_cast<size_t>(members_[j])].load()) continue;
      const auto job = static_cast<int64_t>(j);
      Checkpoint checkpoint;
      checkpoint.job_key = JobKey(configs_[static_cast<size_t>(members_[j])]);
      checkpoint.iteration = done_;
      checkpoint.measured = measured_[j];
      checkpoint.loss_sum = loss_sum_[job].item<double>();
      checkpoint.best_iteration = best_.standing(j).iteration;
      checkpoint.best_figure = best_.standing(j).figure;
      const auto append = [&](const char* prefix, const at::Tensor& flat) {
        AppendTensors(prefix, parameters_, flat, job, &checkpoint.tensors);
      };
      append("", weights);
      append("mean/", mean);
      append("mean_square/", mean_square);
      if (checkpoint.best_iteration > 0) append("best/", best);
      observer_->OnCheckpoint(members_[j], done_, EncodeCheckpoint(std::move(checkpoint)));
    }
  }

  void Step() {
    stacks_.Step(done_ + 1);
    ++done_;
    measured_.assign(measured_.size(), false);
  }

  // Reports a point of every member that has none of this iteration yet; those whose
  // numbers are no longer finite end here.
  void Evaluate(int64_t first, int64_t index, double speed) {
    std::vector<v1::CurvePoint> points;
    for (Stack& stack : stacks_.stacks()) {
      for (v1::CurvePoint& point : evaluation_.Point(stack.parameters(), stack.sampler(), index)) {
        points.push_back(std::move(point));
      }
    }
    const at::Tensor loss_sum =
        loss_sum_.to(at::kCPU, at::kDouble, /*non_blocking=*/false, /*copy=*/true);
    loss_sum_.zero_();
    for (size_t j = 0; j < members_.size(); ++j) {
      if (measured_[j] || dropped_[static_cast<size_t>(members_[j])].load()) continue;
      measured_[j] = true;
      v1::CurvePoint& point = points[j];
      point.set_iteration(done_);
      if (done_ > first) {
        v1::MetricValue* loss = point.add_values();
        loss->set_metric(v1::TRAIN_LOSS);
        loss->set_value(loss_sum[static_cast<int64_t>(j)].item<double>() /
                        static_cast<double>(done_ - first));
        if (speed > 0) {
          v1::MetricValue* rate = point.add_values();
          rate->set_metric(v1::ITERATIONS_PER_SECOND);
          rate->set_value(speed);
        }
      }
      const v1::MetricValue* bad = FirstNotFinite(point.values());
      if (bad == nullptr) {
        best_.Consider(parameters_, j, point);
        observer_->OnPoint(members_[j], point);
      } else if (done_ == 0) {
        Fail(j, 0,
             absl::StrCat("the loss of the untrained model is ", bad->value(),
                          ": the numbers of the task itself are too large for 32-bit floats"));
      } else {
        Fail(j, first,
             absl::StrCat("the loss became ", bad->value(), " between iterations ", first, " and ",
                          done_, "; a smaller learning_rate than ",
                          configs_[static_cast<size_t>(members_[j])].learning_rate(), " may help"));
      }
    }
  }

  void Fail(size_t j, int64_t last_good, const std::string& message) {
    v1::Failure failure;
    failure.set_cause(v1::DIVERGED);
    failure.set_iteration(last_good);
    failure.set_message(message);
    observer_->OnFailed(members_[j], failure);
    any_ended_ = true;
    dropped_[static_cast<size_t>(members_[j])].store(true);
  }

  // Of the members' weights in `parameters`.
  std::vector<v1::JobResult> Final(const Parameters& parameters) {
    std::vector<v1::JobResult> results;
    int64_t first = 0;
    for (Stack& stack : stacks_.stacks()) {
      const int64_t jobs = stack.parameters().jobs();
      for (v1::JobResult& result :
           evaluation_.Final(parameters.Jobs(first, jobs), stack.sampler())) {
        results.push_back(std::move(result));
      }
      first += jobs;
    }
    return results;
  }

  void Finish(double training_seconds) {
    const Clock::time_point start = Clock::now();
    std::vector<v1::JobResult> results = Final(parameters_);
    std::vector<v1::JobResult> of_best;
    bool best_differs = false;
    for (size_t j = 0; j < members_.size() && best_.kept(); ++j) {
      best_differs = best_differs || best_.standing(j).iteration != done_;
    }
    if (best_differs) {
      Parameters best(parameters_.specs(), parameters_.jobs(), parameters_.flat().options());
      best.flat().copy_(best_.weights());
      of_best = Final(best);
    }
    for (size_t j = 0; j < members_.size(); ++j) {
      if (dropped_[static_cast<size_t>(members_[j])].load()) continue;
      // Longer and larger inputs than those of training can overflow a trained model.
      const v1::MetricValue* bad = FirstNotFinite(results[j].metrics());
      const char* checkpoint = "last";
      if (bad == nullptr && best_differs) {
        bad = FirstNotFinite(of_best[j].metrics());
        checkpoint = "best";
      }
      if (bad != nullptr) {
        Fail(j, done_,
             absl::StrCat(MetricName(bad->metric()), " of the ", checkpoint, " weights is ",
                          bad->value()));
        continue;
      }
      FinalWeights weights;
      weights.last = Weights(j, parameters_.flat());
      v1::JobResult& result = results[j];
      AddParameterCount(result.mutable_metrics());
      if (best_.kept()) {
        v1::BestCheckpoint* best = result.mutable_best();
        best->set_iteration(best_.standing(j).iteration);
        if (best->iteration() != done_) {
          best->mutable_metrics()->Swap(of_best[j].mutable_metrics());
          AddParameterCount(best->mutable_metrics());
          if (of_best[j].has_activation()) {
            best->mutable_activation()->Swap(of_best[j].mutable_activation());
          }
          weights.best = Weights(j, best_.weights());
        }
      }
      result.set_wall_seconds(training_seconds + SecondsSince(start));
      observer_->OnFinished(members_[j], result, weights);
      any_ended_ = true;
    }
  }

  void AddParameterCount(google::protobuf::RepeatedPtrField<v1::MetricValue>* metrics) const {
    v1::MetricValue* parameters = metrics->Add();
    parameters->set_metric(v1::PARAMETERS);
    parameters->set_value(static_cast<double>(ParameterCount(shape_)));
  }

  // Of the member at `j`, whose numbers lie in `flat`.
  std::string Weights(size_t j, const at::Tensor& flat) const {
    TensorFile file;
    file.metadata["job_key"] = JobKey(configs_[static_cast<size_t>(members_[j])]);
    AppendTensors("", parameters_, flat, static_cast<int64_t>(j), &file.tensors);
    return EncodeSafetensors(file);
  }

  absl::Status LoadMember(size_t j, const std::string& bytes) {
    const absl::StatusOr<Checkpoint> checkpoint = DecodeCheckpoint(bytes);
    if (!checkpoint.ok()) return checkpoint.status();
    if (checkpoint->job_key != JobKey(configs_[j])) {
      return absl::InvalidArgumentError("it is not of this config");
    }
    const int64_t iteration = checkpoint->iteration;
    if (iteration < 0 || iteration > shape_.iterations() || (j > 0 && iteration != done_)) {
      return absl::InvalidArgumentError(
          absl::StrCat("it stands at iteration ", iteration, "; allowed: ",
                       j > 0 ? absl::StrCat(done_, ", where the first of the gang stands")
                             : absl::StrCat("0..", shape_.iterations())));
    }
    if (checkpoint->best_iteration < 0 || checkpoint->best_iteration > iteration) {
      return absl::InvalidArgumentError(absl::StrCat("its best weights are of iteration ",
                                                     checkpoint->best_iteration, "; allowed: 0..",
                                                     iteration));
    }
    done_ = iteration;
    measured_[j] = checkpoint->measured;
    progress_.iteration.store(done_);
    best_.Restore(j, {checkpoint->best_iteration, checkpoint->best_figure});
    const auto job = static_cast<int64_t>(j);
    loss_sum_[job] = checkpoint->loss_sum;
    const auto copy = [&](const char* prefix, const at::Tensor& flat) {
      return CopyTensors(checkpoint->tensors, prefix, parameters_, job, flat);
    };
    absl::Status status = copy("", parameters_.flat());
    if (status.ok()) status = copy("mean/", adam_->mean());
    if (status.ok()) status = copy("mean_square/", adam_->mean_square());
    if (status.ok() && checkpoint->best_iteration > 0 && best_.kept()) {
      status = copy("best/", best_.weights());
    }
    return status;
  }

  bool AnyWanted() const {
    return std::any_of(members_.begin(), members_.end(),
                       [&](int member) { return !dropped_[member].load(); });
  }

  // The points of iteration done_, of all members.
  bool AllMeasured() const {
    return std::all_of(measured_.begin(), measured_.end(), [](bool measured) { return measured; });
  }

  // Takes dropped members out of the computation. False if none is left.
  bool KeepWanted() {
    std::vector<int64_t> keep;
    for (size_t j = 0; j < members_.size(); ++j) {
      if (!dropped_[members_[j]].load()) keep.push_back(static_cast<int64_t>(j));
    }
    if (keep.size() == members_.size()) return true;
    if (keep.empty()) return false;
    at::NoGradGuard no_grad;
    Parameters kept(parameters_.specs(), static_cast<int64_t>(keep.size()),
                    parameters_.flat().options());
    kept.flat().copy_(SelectJobs(parameters_.flat(), keep));
    kept.RequireGradients();
    adam_->SelectJobs(keep);
    sampler_.SelectJobs(keep);
    best_.SelectJobs(keep);
    loss_sum_ = SelectJobs(loss_sum_, keep);
    std::vector<int> members;
    std::vector<bool> measured;
    for (const int64_t j : keep) {
      members.push_back(members_[static_cast<size_t>(j)]);
      measured.push_back(measured_[static_cast<size_t>(j)]);
    }
    members_ = std::move(members);
    measured_ = std::move(measured);
    parameters_ = std::move(kept);
    stacks_.Set(parameters_, *adam_, sampler_, loss_sum_);
    return true;
  }

  // Iterations before the speed of a section means something.
  static constexpr int64_t kSpeedWindow = 20;

  const std::vector<v1::JobConfig> configs_;  // of all members, by member
  const v1::JobConfig shape_;
  const std::unique_ptr<Model> model_;
  Parameters parameters_;  // from here on: of the members that are left
  BestWeights best_;
  Sampler sampler_;
  Evaluation evaluation_;
  std::optional<Adam> adam_;
  at::Tensor loss_sum_;                     // [J] since the last point
  Stacks stacks_;                           // of all that is above
  std::vector<int> members_;                // [J] their indices in configs_
  int64_t done_ = 0;                        // iterations
  std::vector<bool> measured_;              // [J] has its point of iteration done_
  bool any_ended_ = false;                  // some member has finished or failed
  std::vector<std::atomic<bool>> dropped_;  // by member
  std::atomic<bool> checkpoints_asked_{false};
  size_t saves_ = 0;
  GangObserver* observer_ = nullptr;  // of Run()
  GangProgress progress_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(
    const std::vector<v1::JobConfig>& configs, absl::string_view device,
    const std::vector<std::string>& checkpoints, const TrainerLimits& limits) {
  if (configs.empty() || configs.size() > kGangSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a gang has ", configs.size(), " jobs; allowed: 1..", kGangSizeMax));
  }
  if (!checkpoints.empty() && checkpoints.size() != configs.size()) {
    return absl::InvalidArgumentError(absl::StrCat(checkpoints.size(), " checkpoints for ",
                                                   configs.size(), " jobs; allowed: none, or all"));
  }
  const std::string shape_key = ShapeKey(configs.front());
  for (const v1::JobConfig& config : configs) {
    if (ShapeKey(config) != shape_key) {
      return absl::InvalidArgumentError(absl::StrCat(
          "jobs of one gang have different shapes: ", shape_key, " and ", ShapeKey(config)));
    }
  }
  const absl::StatusOr<std::string> resolved = ResolveDevice(device);
  if (!resolved.ok()) return resolved.status();
  const auto jobs = static_cast<int64_t>(configs.size());
  const absl::StatusOr<int64_t> fitting = StackThatFits(configs.front(), jobs, limits.memory_bytes);
  if (!fitting.ok()) return fitting.status();
  const bool measures = limits.stack_size == 0;
  const int64_t stack_size = measures ? *fitting : std::min(limits.stack_size, *fitting);
  std::unique_ptr<GangTrainer> trainer;
  const absl::Status status = Guard([&] {
    trainer = std::make_unique<GangTrainer>(configs, at::Device(*resolved), stack_size, measures);
    return trainer->Load(checkpoints);
  });
  if (!status.ok()) return status;
  return trainer;
}

}  // namespace modlab
