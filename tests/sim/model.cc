#include "tests/sim/model.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/config/sha256.h"
#include "tests/sim/random.h"

namespace modlab {
namespace sim {

namespace {

uint64_t HashOf(const v1::JobConfig& config) {
  uint64_t hash = 0;
  for (const char c : config.SerializeAsString()) {
    hash = Mix(hash ^ static_cast<unsigned char>(c));
  }
  return hash;
}

void AddMetric(v1::Metric metric, uint64_t state,
               google::protobuf::RepeatedPtrField<v1::MetricValue>* values) {
  v1::MetricValue* value = values->Add();
  value->set_metric(metric);
  value->set_value(static_cast<double>(Mix(state + static_cast<uint64_t>(metric)) >> 11) * 0x1p-53);
}

}  // namespace

Model::Model(const v1::JobConfig& config)
    : config_(config), name_(HashOf(config)), state_(Mix(name_)) {
  // The curse is in the data seed, so that a whole sweep does not have it.
  const uint64_t draw = Mix(name_ + 1);
  switch (draw % 24) {
    case 0:
      fate_ = Fate::kDiverges;
      break;
    case 1:
      fate_ = Fate::kKillsItsWorker;
      break;
    case 2:
      fate_ = Fate::kNeedsTooMuchMemory;
      break;
    default:
      fate_iteration_ = -1;
      return;
  }
  fate_iteration_ =
      1 + static_cast<int64_t>((draw >> 8) % static_cast<uint64_t>(config.iterations()));
}

absl::StatusOr<Model> Model::FromCheckpoint(const v1::JobConfig& config, absl::string_view file) {
  Model model(config);
  const std::string text(file);
  const std::string begin = absl::StrFormat("checkpoint %016x ", model.name_);
  if (text.compare(0, begin.size(), begin) != 0) {
    return absl::InvalidArgumentError("this is the checkpoint of another job");
  }
  char* rest = nullptr;
  model.iteration_ = std::strtoll(text.c_str() + begin.size(), &rest, 10);
  model.state_ = std::strtoull(rest, nullptr, 16);
  if (model.Checkpoint() != text) return absl::InvalidArgumentError("the checkpoint is damaged");
  return model;
}

void Model::Step() {
  ++iteration_;
  state_ = Mix(state_ ^ static_cast<uint64_t>(iteration_));
}

v1::CurvePoint Model::Point() const {
  v1::CurvePoint point;
  point.set_iteration(iteration_);
  AddMetric(v1::TRAIN_LOSS, state_, point.mutable_values());
  AddMetric(v1::EVAL_LOSS, state_, point.mutable_values());
  return point;
}

std::string Model::Checkpoint() const {
  return absl::StrFormat("checkpoint %016x %d %016x", name_, iteration_, state_);
}

v1::JobResult Model::Result(FinalWeights* weights) const {
  v1::JobResult result;
  AddMetric(v1::ID, state_, result.mutable_metrics());
  AddMetric(v1::OOD, state_, result.mutable_metrics());
  weights->last = absl::StrFormat("weights %016x of %016x", state_, name_);
  if (name_ % 2 == 0) {
    result.mutable_best()->set_iteration(std::min(config_.eval_interval(), config_.iterations()));
    AddMetric(v1::ID, state_ + 7, result.mutable_best()->mutable_metrics());
    weights->best = absl::StrFormat("best %016x of %016x", state_, name_);
  }
  return result;
}

Undisturbed Train(const v1::JobConfig& canonical) {
  Model model(canonical);
  Undisturbed all;
  all.fate = model.fate();
  all.points.push_back(model.Point());
  while (!model.finished()) {
    model.Step();
    if (model.IsPoint()) all.points.push_back(model.Point());
  }
  FinalWeights weights;
  all.result = model.Result(&weights);
  all.result.set_checkpoint_sha256(Sha256Hex(weights.last));
  if (all.result.has_best()) {
    all.result.mutable_best()->set_checkpoint_sha256(Sha256Hex(weights.best));
  }
  return all;
}

}  // namespace sim
}  // namespace modlab
