#include "lib/train/stack.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <utility>

#include "lib/train/evaluation.h"

namespace modlab {
namespace {

// The norm to which the published code clips the gradients of RNNs.
constexpr double kRnnGradientNormMax = 1.0;

// What the learning rate is multiplied by after so many steps.
double LearningRateFactor(const v1::JobConfig& shape, int64_t steps) {
  if (shape.halve_learning_rate_every() == 0) return 1.0;
  const int64_t halvings = std::min<int64_t>(shape.halve_learning_rate_times(),
                                             steps / shape.halve_learning_rate_every());
  return std::ldexp(1.0, -static_cast<int>(halvings));
}

// Tells the parts of a step apart, in seconds of this thread's processor time.
class Laps {
 public:
  explicit Laps(bool wanted) : wanted_(wanted), last_(Now()) {}

  // Adds what passed since the last call to `part`, if it is wanted.
  void AddTo(double* part) {
    const double now = Now();
    *part += now - std::exchange(last_, now);
  }

 private:
  double Now() const {
    if (!wanted_) return 0;
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  const bool wanted_;
  double last_;
};

}  // namespace

Stack::Stack(const v1::JobConfig& shape, const Model& model, Parameters parameters, Adam adam,
             Sampler sampler, at::Tensor loss_sum)
    : shape_(shape),
      model_(model),
      parameters_(std::move(parameters)),
      adam_(std::move(adam)),
      sampler_(std::move(sampler)),
      loss_sum_(std::move(loss_sum)) {}

void Stack::Step(int64_t step, StepTimes* times) {
  StepTimes unused;
  Laps laps(times != nullptr);
  if (times == nullptr) times = &unused;
  const Batch batch = sampler_.Sample(
      {StreamPurpose::kTraining, static_cast<uint64_t>(step - 1), shape_.batch_size(),
       shape_.has_sequence_length() ? shape_.sequence_length() : 1});
  laps.AddTo(&times->data);
  const Network::Output output = model_.Bind(parameters_)->Forward(batch);
  // The jobs share no number, so the gradient of the losses' sum is each job's own.
  const MeanLoss loss = MeanLosses(shape_.target(), output.prediction, batch.target);
  laps.AddTo(&times->forward);
  const std::vector<at::Tensor> gradients =
      parameters_.Differentiate(output.prediction, loss.gradient);
  laps.AddTo(&times->backward);
  at::Tensor scale;
  if (shape_.architecture() == v1::RNN) scale = ClippingScale(gradients, kRnnGradientNormMax);
  adam_.Step(step, LearningRateFactor(shape_, step - 1), gradients, scale, parameters_);
  loss_sum_ += loss.value;
  laps.AddTo(&times->optimizer);
}

Stacks::Stacks(const v1::JobConfig& shape, const Model& model, int64_t jobs_max, bool measures)
    : shape_(shape), model_(model), size_(jobs_max), search_(measures ? jobs_max : 1) {}

void Stacks::Set(const Parameters& parameters, const Adam& adam, const Sampler& sampler,
                 const at::Tensor& loss_sum) {
  parameters_ = parameters;
  adam_ = adam;
  sampler_ = sampler;
  loss_sum_ = loss_sum;
  Split();
}

void Stacks::Step(int64_t step) {
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  for (Stack& stack : stacks_) stack.Step(step);
  if (search_.done()) return;
  [[maybe_unused]] const auto waited = loss_sum_.sum().item<double>();  // for the device
  search_.Add(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (search_.size() == size_) return;
  size_ = search_.size();
  Split();
}

void Stacks::Split() {
  stacks_.clear();
  for (int64_t first = 0; first < parameters_->jobs(); first += size_) {
    const int64_t jobs = std::min(size_, parameters_->jobs() - first);
    stacks_.emplace_back(shape_, model_, parameters_->Jobs(first, jobs), adam_->Jobs(first, jobs),
                         sampler_->Jobs(first, jobs), loss_sum_.narrow(0, first, jobs));
  }
}

}  // namespace modlab
