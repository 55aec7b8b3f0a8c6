#include "server/engine/report_check.h"

#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/sha256.h"
#include "lib/config/sweep_policy.h"
#include "lib/config/words.h"
#include "server/store/artifact_files.h"

namespace modlab {

namespace {

constexpr int kSlotsMax = 1024;
constexpr int kGangSizeMax = 4096;
constexpr size_t kNameBytesMax = 128;
constexpr size_t kDeviceNameBytesMax = 256;
constexpr size_t kPlaceBytesMax = 160;
constexpr int kLabelsMax = 64;
// What a worker may be told to hold, twice: what has ended is held until that is
// acknowledged.
constexpr int kHeldMax = 32'768;
// 4 MiB, and some more: workers fill in reports by an estimate of the rest.
constexpr size_t kViewBytesMax = size_t{5} << 20;

absl::Status CheckRange(absl::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; allowed are ", low, " to ", high));
}

// Shown in tables and logs, so of one line.
absl::Status CheckText(absl::string_view field, absl::string_view text, size_t low, size_t high) {
  if (text.size() < low || text.size() > high) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " has ", text.size(), " characters; allowed are ", low, " to ", high));
  }
  for (char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, " is ", QuotedWord(text), "; control characters are not allowed"));
    }
  }
  return absl::OkStatus();
}

template <typename Values>
absl::Status CheckMetrics(const Values& values) {
  if (values.size() > kMetricsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(values.size(), " metrics; at most ", kMetricsMax, " are allowed"));
  }
  for (const v1::MetricValue& value : values) {
    if (value.metric() == v1::METRIC_UNSPECIFIED || !std::isfinite(value.value())) {
      return absl::InvalidArgumentError(
          absl::StrCat("metric ", value.metric(), " has the value ", value.value()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckActivation(const v1::ActivationMatrix& activation, const v1::JobConfig& config) {
  const int64_t size = int64_t{config.rules()} * config.modules();
  if (activation.rules() != config.rules() || activation.modules() != config.modules() ||
      activation.values_size() != size) {
    return absl::InvalidArgumentError(
        absl::StrCat("activation matrix is ", activation.rules(), " by ", activation.modules(),
                     " with ", activation.values_size(), " values; the job has ", config.rules(),
                     " rules and ", config.modules(), " modules"));
  }
  for (float value : activation.values()) {
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError("activation matrix has a value that is not finite");
    }
  }
  return absl::OkStatus();
}

// What a result says of its last weights and of its best alike.
template <typename Checkpoint>
absl::Status CheckFigures(const Checkpoint& checkpoint, const v1::JobConfig& config) {
  absl::Status status = CheckMetrics(checkpoint.metrics());
  if (status.ok() && checkpoint.has_activation()) {
    status = CheckActivation(checkpoint.activation(), config);
  }
  if (!status.ok()) return status;
  if (!checkpoint.checkpoint_sha256().empty() &&
      !IsLowerHex(checkpoint.checkpoint_sha256(), kSha256HexDigits)) {
    return absl::InvalidArgumentError("checkpoint_sha256 must be 64 lower-case hex digits");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckView(const v1::WorkerView& view) {
  if (!IsLowerHex(view.worker_id(), 32)) {
    return absl::InvalidArgumentError("worker_id must be 32 lower-case hex digits");
  }
  if (view.ByteSizeLong() > kViewBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the view has ", view.ByteSizeLong(), " bytes; at most 4 MiB are allowed"));
  }
  if (view.held_size() > kHeldMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("held has ", view.held_size(), "; at most ", kHeldMax, " are allowed"));
  }
  absl::Status status = CheckText("name", view.name(), 1, kNameBytesMax);
  if (status.ok()) {
    status = CheckText("device_name", view.device_name(), 0, kDeviceNameBytesMax);
  }
  if (status.ok()) status = CheckText("place", view.place(), 0, kPlaceBytesMax);
  if (!status.ok()) return status;
  if (view.device() != "cpu" && view.device() != "cuda") {
    return absl::InvalidArgumentError(absl::StrCat("device is \"", view.device().substr(0, 64),
                                                   "\"; allowed are \"cpu\" and \"cuda\""));
  }
  status = CheckRange("slots", view.slots(), 1, kSlotsMax);
  if (status.ok()) status = CheckRange("gang_size_max", view.gang_size_max(), 1, kGangSizeMax);
  if (status.ok()) status = CheckRange("slots_idle", view.slots_idle(), 0, view.slots());
  if (status.ok()) status = CheckRange("memory_bytes", view.memory_bytes(), 0, INT64_MAX);
  if (status.ok()) status = CheckRange("slot_memory_bytes", view.slot_memory_bytes(), 0, INT64_MAX);
  if (!status.ok()) return status;
  if (view.labels_size() > kLabelsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("labels has ", view.labels_size(), "; at most ", kLabelsMax, " are allowed"));
  }
  for (const std::string& label : view.labels()) {
    status = CheckLabel(label);
    if (!status.ok()) return status;
  }
  uint64_t previous = 0;
  for (const v1::Report& report : view.reports()) {
    if (report.number() <= previous) {
      return absl::InvalidArgumentError(
          absl::StrCat("report ", report.number(), " follows report ", previous,
                       "; reports are numbered from 1 and sent in ascending order"));
    }
    previous = report.number();
  }
  return absl::OkStatus();
}

absl::Status CheckPoint(const v1::CurvePoint& point, const v1::JobConfig& config) {
  absl::Status status = CheckRange("iteration", point.iteration(), 0, config.iterations());
  if (!status.ok()) return status;
  if (point.iteration() % config.eval_interval() != 0 && point.iteration() != config.iterations()) {
    return absl::InvalidArgumentError(
        absl::StrCat("iteration is ", point.iteration(), "; the job has points at multiples of ",
                     config.eval_interval(), " and at ", config.iterations()));
  }
  status = CheckMetrics(point.values());
  if (status.ok() && point.has_activation()) status = CheckActivation(point.activation(), config);
  return status;
}

absl::Status CheckResult(const v1::JobResult& result, const v1::JobConfig& config) {
  absl::Status status = CheckFigures(result, config);
  if (status.ok() && result.has_best()) {
    status = CheckRange("best iteration", result.best().iteration(), 1, config.iterations());
    if (status.ok()) status = CheckFigures(result.best(), config);
  }
  if (!status.ok()) return status;
  if (!std::isfinite(result.wall_seconds()) || result.wall_seconds() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("wall_seconds is ", result.wall_seconds()));
  }
  return absl::OkStatus();
}

absl::Status CheckCheckpoint(const v1::TrainingCheckpoint& checkpoint,
                             const v1::JobConfig& config) {
  if (!IsLowerHex(checkpoint.sha256(), kSha256HexDigits)) {
    return absl::InvalidArgumentError("checkpoint sha256 must be 64 lower-case hex digits");
  }
  absl::Status status =
      CheckRange("checkpoint iteration", checkpoint.iteration(), 1, config.iterations());
  if (!status.ok()) return status;
  return CheckRange("checkpoint size_bytes", checkpoint.size_bytes(), 1, kArtifactBytesMax);
}

}  // namespace modlab
