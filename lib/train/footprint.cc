#include "lib/train/footprint.h"

#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/config/widths.h"
#include "lib/models/model.h"

namespace modlab {
namespace {

// Numbers that come with a token: inputs, one-hot rule, targets.
int64_t SampleNumbers(const v1::JobConfig& config) {
  const int64_t rules = config.rules();
  switch (config.architecture()) {
    case v1::MHA:
      return (config.search_version() == 2 ? 7 : 5) * rules + 1;
    case v1::RNN:
      return config.input_dim() + rules +
             (config.target() == v1::REGRESSION ? config.input_dim() : 1);
    default:
      return 2 + rules + 1;
  }
}

// Numbers that a step computes of a token and keeps for its way back, and about as many
// gradients as live together.
int64_t TokenNumbers(const v1::JobConfig& config) {
  const int64_t M = config.modules(), e = config.encoder_dim();
  switch (config.architecture()) {
    case v1::MHA: {
      const int64_t h = HeadWidth(config), attended = M * config.heads() * h;
      return 2 *
             (e + 3 * attended + M * h + attended + M * h + 2 * M * ModuleHiddenWidth(config) + e);
    }
    case v1::RNN: {
      const int64_t h = CellWidth(config), gates = 4 * M * h;
      return (config.model() == v1::MODULAR ? 2 : 1) * gates + 6 * (e + h) + 2 * M;
    }
    default:
      return 4 * (e + config.model_dim() + M) + 2 * e;
  }
}

constexpr int64_t kNumberBytes = 4;

}  // namespace

std::vector<TensorShape> ModelTensors(const v1::JobConfig& canonical) {
  std::vector<TensorShape> tensors;
  for (const ParameterSpec& spec : MakeModel(canonical)->Specs()) {
    tensors.push_back({spec.name, spec.shape});
  }
  return tensors;
}

int64_t ParameterCount(const v1::JobConfig& canonical) {
  int64_t count = 0;
  for (const ParameterSpec& spec : MakeModel(canonical)->Specs()) count += spec.size();
  return count;
}

Footprint TrainingFootprint(const v1::JobConfig& canonical) {
  const int64_t parameters = ParameterCount(canonical);
  const int64_t tokens = int64_t{canonical.batch_size()} *
                         (canonical.has_sequence_length() ? canonical.sequence_length() : 1);
  Footprint footprint;
  // Weights, two means, best weights; and a copy of these at the end.
  footprint.kept = kNumberBytes * (5 * parameters + tokens * SampleNumbers(canonical));
  // Products of weight matrices, their gradients, and those of the parameters.
  footprint.step =
      kNumberBytes *
      (3 * parameters + tokens * (2 * SampleNumbers(canonical) + TokenNumbers(canonical)));
  return footprint;
}

absl::StatusOr<int64_t> StackThatFits(const v1::JobConfig& canonical, int64_t jobs,
                                      int64_t memory_bytes) {
  if (memory_bytes == 0) return jobs;
  const Footprint job = TrainingFootprint(canonical);
  const int64_t left = memory_bytes - jobs * job.kept;
  if (left >= job.step) return std::min(jobs, left / job.step);
  constexpr double kMebibyte = 1 << 20;
  return absl::ResourceExhaustedError(
      absl::StrFormat("%s of this shape would take about %.0f MiB of %.0f MiB",
                      jobs == 1 ? "a job" : absl::StrCat(jobs, " jobs"),
                      static_cast<double>(jobs * job.kept + job.step) / kMebibyte,
                      static_cast<double>(memory_bytes) / kMebibyte));
}

}  // namespace modlab
