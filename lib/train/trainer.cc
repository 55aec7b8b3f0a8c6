#include "lib/train/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <new>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "lib/models/mlp_model.h"
#include "lib/models/parameters.h"
#include "lib/train/adam.h"
#include "lib/train/device.h"
#include "lib/train/evaluation.h"
#include "lib/train/sampler.h"
#include "lib/weights/safetensors.h"

namespace modlab {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// c10 has no error class for memory that is portable over its versions.
absl::Status ToStatus(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  if (what.find("out of memory") != std::string::npos ||
      what.find("can't allocate memory") != std::string::npos) {
    return absl::ResourceExhaustedError(absl::StrCat("the device's memory is full: ", what));
  }
  return absl::InternalError(what);
}

// Runs `body`, turning LibTorch's exceptions into a status.
template <typename Body>
absl::Status Guard(Body body) {
  try {
    return body();
  } catch (const c10::Error& error) {
    return ToStatus(error);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the host's memory is full");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

class GangTrainer : public Trainer {
 public:
  GangTrainer(const std::vector<v1::JobConfig>& configs, const at::Device& device)
      : configs_(configs),
        shape_(configs.front()),
        model_(shape_),
        parameters_(model_.Specs(), static_cast<int64_t>(configs.size()),
                    at::TensorOptions().dtype(at::kFloat).device(device)),
        sampler_(configs, device),
        evaluation_(shape_, model_, [this] { return AnyWanted(); }),
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
  }

  absl::Status Run(GangObserver* observer) override {
    return Guard([&] { return RunGuarded(observer); });
  }

  void Drop(int member) override { dropped_[member].store(true); }

  const GangProgress& progress() const override { return progress_; }

 private:
  absl::Status RunGuarded(GangObserver* observer) {
    const Clock::time_point start = Clock::now();
    int64_t done = 0;
    int64_t index = 0;
    for (int64_t until : EvaluationIterations(shape_)) {
      const int64_t first = done;
      const Clock::time_point section_start = Clock::now();
      while (done < until) {
        if (!KeepWanted()) return absl::CancelledError("every member was dropped");
        Step(done++);
        progress_.iteration.store(done);
        if (done - first >= kSpeedWindow && SecondsSince(section_start) > 0) {
          progress_.iterations_per_second.store(static_cast<double>(done - first) /
                                                SecondsSince(section_start));
        }
      }
      Evaluate(first, done, index++, SecondsSince(section_start), observer);
      if (!KeepWanted()) {
        return any_ended_ ? absl::OkStatus() : absl::CancelledError("every member was dropped");
      }
    }
    Finish(SecondsSince(start), observer);
    return absl::OkStatus();
  }

  void Step(int64_t step) {
    const MlpBatch batch = sampler_.Sample(
        {StreamPurpose::kTraining, static_cast<uint64_t>(step), shape_.batch_size()});
    parameters_.flat_gradient().zero_();
    const MlpModel::Output output = model_.Forward(parameters_, model_.Fold(parameters_), batch);
    const at::Tensor losses =
        SampleLosses(shape_.target(), output.prediction, batch.target).mean(1);  // [J]
    // The jobs share no number, so the sum's gradient is each job's own.
    losses.sum().backward();
    adam_->Step(&parameters_);
    loss_sum_ += losses.detach();
  }

  // Reports a point of every member; those whose numbers are no longer finite end here.
  void Evaluate(int64_t first, int64_t done, int64_t index, double seconds,
                GangObserver* observer) {
    std::vector<v1::CurvePoint> points = evaluation_.Point(parameters_, &sampler_, index);
    const at::Tensor loss_sum = loss_sum_.to(at::kCPU);
    loss_sum_ = at::zeros_like(loss_sum_);
    for (size_t j = 0; j < members_.size(); ++j) {
      if (dropped_[members_[j]].load()) continue;
      v1::CurvePoint& point = points[j];
      point.set_iteration(done);
      if (done > first) {
        const auto steps = static_cast<double>(done - first);
        v1::MetricValue* loss = point.add_values();
        loss->set_metric(v1::TRAIN_LOSS);
        loss->set_value(loss_sum[static_cast<int64_t>(j)].item<double>() / steps);
        v1::MetricValue* speed = point.add_values();
        speed->set_metric(v1::ITERATIONS_PER_SECOND);
        speed->set_value(steps / seconds);
      }
      const auto bad =
          std::find_if(point.values().begin(), point.values().end(),
                       [](const v1::MetricValue& v) { return !std::isfinite(v.value()); });
      if (bad == point.values().end()) {
        observer->OnPoint(members_[j], point);
        continue;
      }
      v1::Failure failure;
      failure.set_cause(v1::DIVERGED);
      failure.set_iteration(first);
      failure.set_message(absl::StrCat("the loss became ", bad->value(), " between iterations ",
                                       first, " and ", done, "; a smaller learning_rate than ",
                                       configs_[members_[j]].learning_rate(), " may help"));
      observer->OnFailed(members_[j], failure);
      any_ended_ = true;
      dropped_[members_[j]].store(true);
    }
  }

  void Finish(double training_seconds, GangObserver* observer) {
    const Clock::time_point start = Clock::now();
    std::vector<v1::JobResult> results = evaluation_.Final(parameters_, &sampler_);
    for (size_t j = 0; j < members_.size(); ++j) {
      if (dropped_[members_[j]].load()) continue;
      v1::MetricValue* parameters = results[j].add_metrics();
      parameters->set_metric(v1::PARAMETERS);
      parameters->set_value(static_cast<double>(ParameterCount(shape_)));
      results[j].set_wall_seconds(training_seconds + SecondsSince(start));
      observer->OnFinished(members_[j], results[j], Weights(j));
    }
  }

  std::string Weights(size_t j) const {
    TensorFile file;
    file.metadata["job_key"] = JobKey(configs_[members_[j]]);
    for (size_t i = 0; i < parameters_.specs().size(); ++i) {
      const at::Tensor values =
          parameters_.tensors()[i].detach()[static_cast<int64_t>(j)].to(at::kCPU).contiguous();
      const auto* numbers = values.data_ptr<float>();
      file.tensors.push_back({parameters_.specs()[i].name,
                              parameters_.specs()[i].shape,
                              {numbers, numbers + values.numel()}});
    }
    return EncodeSafetensors(file);
  }

  bool AnyWanted() const {
    return std::any_of(members_.begin(), members_.end(),
                       [&](int member) { return !dropped_[member].load(); });
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
    kept.flat().copy_(parameters_.SelectJobs(parameters_.flat(), keep));
    kept.RequireGradients();
    adam_->SelectJobs(parameters_, keep);
    sampler_.SelectJobs(keep);
    loss_sum_ = at::stack([&] {
      std::vector<at::Tensor> sums;
      for (int64_t j : keep) sums.push_back(loss_sum_[j]);
      return sums;
    }());
    std::vector<int> members;
    for (int64_t j : keep) members.push_back(members_[j]);
    members_ = std::move(members);
    parameters_ = std::move(kept);
    return true;
  }

  // Iterations before the speed of a section means something.
  static constexpr int64_t kSpeedWindow = 20;

  const std::vector<v1::JobConfig> configs_;  // of all members, by member
  const v1::JobConfig shape_;
  const MlpModel model_;
  Parameters parameters_;  // from here on: of the members that are left
  Sampler sampler_;
  Evaluation evaluation_;
  std::optional<Adam> adam_;
  at::Tensor loss_sum_;                     // [J] since the last point
  std::vector<int> members_;                // [J] their indices in configs_
  bool any_ended_ = false;                  // some member failed on its own
  std::vector<std::atomic<bool>> dropped_;  // by member
  GangProgress progress_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const std::vector<v1::JobConfig>& configs,
                                                         absl::string_view device) {
  if (configs.empty() || configs.size() > kGangSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a gang has ", configs.size(), " jobs; allowed: 1..", kGangSizeMax));
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
  std::unique_ptr<Trainer> trainer;
  const absl::Status status = Guard([&] {
    trainer = std::make_unique<GangTrainer>(configs, at::Device(*resolved));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return trainer;
}

std::vector<TensorShape> ModelTensors(const v1::JobConfig& canonical) {
  std::vector<TensorShape> tensors;
  for (const ParameterSpec& spec : MlpModel(canonical).Specs()) {
    tensors.push_back({spec.name, spec.shape});
  }
  return tensors;
}

int64_t ParameterCount(const v1::JobConfig& canonical) {
  int64_t count = 0;
  for (const ParameterSpec& spec : MlpModel(canonical).Specs()) count += spec.size();
  return count;
}

}  // namespace modlab
