#include "lib/config/job_config.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
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

std::string PairingKey(const JobConfig& canonical, const std::set<std::string>& left_out_fields) {
  std::string text;
  for (const std::string& name : JobFieldNames()) {
    if (left_out_fields.count(name) > 0 || IsDefault(canonical, name)) continue;
    const FieldDescriptor* field = JobConfig::descriptor()->FindFieldByName(name);
    // Numbers of enum values outlive their names.
    absl::StrAppend(&text, field->number(), "=",
                    field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM
                        ? absl::StrCat(canonical.GetReflection()->GetEnumValue(canonical, field))
                        : JobFieldWord(canonical, name),
                    "\n");
  }
  return text;
}

std::string JobKey(const JobConfig& canonical) {
  return Sha256Hex(PairingKey(canonical, {})).substr(0, 32);
}

std::string ShapeKey(const JobConfig& canonical) {
  static const auto* const left_out =
      new std::set<std::string>{"data_seed", "model_seed", "learning_rate"};
  const std::string hash = Sha256Hex(PairingKey(canonical, *left_out));
  return absl::StrCat(JobFieldWord(canonical, "architecture"), "-",
                      JobFieldWord(canonical, "target"), "-", JobFieldWord(canonical, "model"),
                      "-r", canonical.rules(), "-m", canonical.modules(), "-e",
                      canonical.encoder_dim(), "-d", canonical.model_dim(), "-b",
                      canonical.batch_size(), "-", absl::string_view(hash).substr(0, 12));
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
