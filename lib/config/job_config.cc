#include "lib/config/job_config.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/config_numbers.h"
#include "lib/config/fields.h"
#include "lib/config/relations.h"
#include "lib/config/sha256.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

using google::protobuf::FieldDescriptor;
using v1::JobConfig;

absl::StatusOr<JobConfig> Canonicalise(const JobConfig& config) {
  // A field from a newer client: to train without it would be another experiment.
  const auto& unknown = config.GetReflection()->GetUnknownFields(config);
  if (!unknown.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config: field number ", unknown.field(0).number(), " is not known to this version"));
  }
  JobConfig canonical = config;
  if (auto status = CheckFields(&canonical); !status.ok()) return status;
  FillDefaults(&canonical);
  if (auto status = CheckRelations(canonical); !status.ok()) return status;
  return canonical;
}

namespace {

// The fields, by number.
const std::vector<const FieldDescriptor*>& Fields() {
  static const auto* const fields = [] {
    auto* all = new std::vector<const FieldDescriptor*>;
    for (const std::string& name : JobFieldNames()) {
      all->push_back(JobConfig::descriptor()->FindFieldByName(name));
    }
    return all;
  }();
  return *fields;
}

// Adds a line for a field that has not its default. Numbers of enum values outlive their
// names.
void AddToKey(const JobConfig& canonical, const ConfigNumbers& numbers,
              const FieldDescriptor* field, std::string* key) {
  if (IsDefault(numbers, field->number())) return;
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    absl::StrAppend(key, field->number(), "=", JobFieldWord(canonical, std::string(field->name())),
                    "\n");
  } else {
    absl::StrAppend(key, field->number(), "=", static_cast<int64_t>(numbers[field->number()]),
                    "\n");
  }
}

// What jobs of one shape may differ in.
bool IsFreeInShape(const FieldDescriptor* field) {
  return field->number() == JobConfig::kDataSeedFieldNumber ||
         field->number() == JobConfig::kModelSeedFieldNumber ||
         field->number() == JobConfig::kLearningRateFieldNumber;
}

std::string ShapeKeyOf(const JobConfig& canonical, absl::string_view pairing_key) {
  const std::string hash = Sha256Hex(pairing_key);
  return absl::StrCat(JobFieldWord(canonical, "architecture"), "-",
                      JobFieldWord(canonical, "target"), "-", JobFieldWord(canonical, "model"),
                      "-r", canonical.rules(), "-m", canonical.modules(), "-e",
                      canonical.encoder_dim(), "-d", canonical.model_dim(), "-b",
                      canonical.batch_size(), "-", absl::string_view(hash).substr(0, 12));
}

}  // namespace

std::string PairingKey(const JobConfig& canonical, const std::set<std::string>& left_out_fields) {
  const ConfigNumbers numbers(canonical);
  std::string key;
  for (const FieldDescriptor* field : Fields()) {
    if (left_out_fields.count(std::string(field->name())) > 0) continue;
    AddToKey(canonical, numbers, field, &key);
  }
  return key;
}

std::string JobKey(const JobConfig& canonical) { return JobKeys().Of(canonical).job_key; }

std::string ShapeKey(const JobConfig& canonical) { return *JobKeys().Of(canonical).shape_key; }

JobKeys::Keys JobKeys::Of(const JobConfig& canonical) {
  const ConfigNumbers numbers(canonical);
  job_.clear();
  shape_.clear();
  for (const FieldDescriptor* field : Fields()) {
    const size_t before = job_.size();
    AddToKey(canonical, numbers, field, &job_);
    if (!IsFreeInShape(field)) shape_.append(job_, before, std::string::npos);
  }
  auto [known, is_new] = shapes_.try_emplace(shape_);
  if (is_new) known->second = ShapeKeyOf(canonical, shape_);
  return {Sha256Hex(job_).substr(0, 32), &known->second};
}

std::vector<int64_t> EvaluationIterations(const JobConfig& canonical) {
  std::vector<int64_t> iterations;
  for (int64_t i = 0; i < canonical.iterations(); i += canonical.eval_interval()) {
    iterations.push_back(i);
  }
  iterations.push_back(canonical.iterations());
  return iterations;
}

std::vector<int> EvaluationLengths(const JobConfig& canonical) {
  if (canonical.architecture() == v1::MLP) return {};
  if (canonical.sequence_length() == 10) return {3, 5, 10, 20, 30};
  return {10, 20, 30, 40, 50};
}

}  // namespace modlab
