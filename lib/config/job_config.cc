#include "lib/config/job_config.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/sha256.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using google::protobuf::FieldDescriptor;
using v1::JobConfig;

// Defaults and limits of the numbers in a JobConfig, as job.proto states them.
// Every integer that is allowed is a double exactly.
struct Number {
  int field;
  std::optional<double> default_value;  // absent: required, or see FillDefaults()
  double min;
  double max;
  bool above_min = false;  // `min` itself is not allowed
};

constexpr double kSeedMax = 4294967295.0;

constexpr Number kNumbers[] = {
    {JobConfig::kRulesFieldNumber, std::nullopt, 2, 256},
    {JobConfig::kDataSeedFieldNumber, 0, 0, kSeedMax},
    {JobConfig::kModulesFieldNumber, std::nullopt, 1, 256},
    {JobConfig::kEncoderDimFieldNumber, 32, 1, 8192},
    {JobConfig::kModelDimFieldNumber, 128, 1, 65536},
    {JobConfig::kModelSeedFieldNumber, 0, 0, kSeedMax},
    {JobConfig::kIterationsFieldNumber, 100000, 1, 1e8},
    {JobConfig::kBatchSizeFieldNumber, 256, 1, 65536},
    {JobConfig::kLearningRateFieldNumber, 1e-4, 0, 10, true},
    {JobConfig::kEvalIntervalFieldNumber, 5000, 1, 1e8},
    {JobConfig::kEvalBatchesFieldNumber, 10, 1, 10000},
    {JobConfig::kFinalBatchesFieldNumber, 100, 1, 100000},
    {JobConfig::kFinalBatchSizeFieldNumber, 1000, 1, 65536},
    {JobConfig::kActivationBatchesFieldNumber, 1000, 1, 100000},
    {JobConfig::kAdaptationDrawsFieldNumber, 100, 1, 10000},
    {JobConfig::kAdaptationBatchesFieldNumber, 10, 1, 10000},
};

constexpr int kRequired[] = {JobConfig::kArchitectureFieldNumber, JobConfig::kTargetFieldNumber,
                             JobConfig::kRulesFieldNumber, JobConfig::kModelFieldNumber};

constexpr int64_t kPointsMax = 100'000;
constexpr int64_t kParametersMax = 1'000'000'000;

// Kept, because protobuf's own look-up of them is most of a Canonicalise().
const google::protobuf::Descriptor& Type() {
  static const auto* const type = JobConfig::descriptor();
  return *type;
}
const google::protobuf::Reflection& Access() {
  static const auto* const access = JobConfig().GetReflection();
  return *access;
}

const FieldDescriptor* Field(int number) { return Type().FindFieldByNumber(number); }

double GetNumber(const JobConfig& config, const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return Access().GetInt32(config, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(Access().GetInt64(config, field));
    default:
      return Access().GetDouble(config, field);
  }
}

void SetNumber(const FieldDescriptor* field, double value, JobConfig* config) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return Access().SetInt32(config, field, static_cast<int32_t>(value));
    case FieldDescriptor::CPPTYPE_INT64:
      return Access().SetInt64(config, field, static_cast<int64_t>(value));
    default:
      return Access().SetDouble(config, field, value);
  }
}

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// Enums must be set to a value that this build knows. An explicit
// ..._UNSPECIFIED counts as not set.
absl::Status CheckEnums(JobConfig* config) {
  for (int i = 0; i < Type().field_count(); ++i) {
    const FieldDescriptor* field = Type().field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM) continue;
    const int value = Access().GetEnumValue(*config, field);
    if (value == 0) Access().ClearField(config, field);
    if (field->enum_type()->FindValueByNumber(value) == nullptr) {
      return Invalid(std::string(field->name()), ": ", value,
                     " is not a value that this version knows");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRequired(const JobConfig& config) {
  for (const int number : kRequired) {
    const FieldDescriptor* field = Field(number);
    if (Access().HasField(config, field)) continue;
    std::string allowed;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      for (int i = 0; i < field->enum_type()->value_count(); ++i) {
        const auto* value = field->enum_type()->value(i);
        if (value->number() == 0) continue;
        absl::StrAppend(&allowed, allowed.empty() ? "; allowed: " : ", ",
                        std::string(value->name()));
      }
    }
    return Invalid(std::string(field->name()), " is required", allowed);
  }
  if (config.architecture() != v1::MLP) {
    return Invalid("architecture: ", v1::Architecture_Name(config.architecture()),
                   " is not available in this version; allowed: MLP");
  }
  return absl::OkStatus();
}

// Needs the required fields.
void FillDefaults(JobConfig* config) {
  for (const Number& number : kNumbers) {
    const FieldDescriptor* field = Field(number.field);
    if (number.default_value && !Access().HasField(*config, field)) {
      SetNumber(field, *number.default_value, config);
    }
  }
  if (!config->has_modules()) {
    config->set_modules(config->model() == v1::MONOLITHIC ? 1 : config->rules());
  }
  if (!config->has_scorer() && config->model() == v1::MODULAR) config->set_scorer(v1::JOINT);
}

absl::Status CheckLimits(const JobConfig& config) {
  for (const Number& number : kNumbers) {
    const FieldDescriptor* field = Field(number.field);
    if (!Access().HasField(config, field)) continue;
    const double value = GetNumber(config, field);
    // Written so that NaN is refused.
    const bool ok =
        (number.above_min ? value > number.min : value >= number.min) && value <= number.max;
    if (ok) continue;
    const auto min = static_cast<int64_t>(number.min);
    const auto max = static_cast<int64_t>(number.max);
    const std::string name(field->name());
    return Invalid(name, ": ", JobFieldWord(config, name), " is not allowed; allowed: ",
                   number.above_min ? absl::StrCat("above ", min, ", at most ", max)
                                    : absl::StrCat(min, "..", max));
  }
  return absl::OkStatus();
}

// The limits that tie fields to each other. Needs FillDefaults().
absl::Status CheckRelations(const JobConfig& config) {
  const std::string model = v1::ModelType_Name(config.model());
  const int modules = config.modules();
  if (config.model() == v1::MONOLITHIC && modules != 1) {
    return Invalid("modules: ", modules, " is not allowed for model = MONOLITHIC; allowed: 1");
  }
  if (config.model() == v1::GT_MODULAR && modules != config.rules()) {
    return Invalid("modules: ", modules,
                   " is not allowed for model = GT_MODULAR; allowed: ", config.rules(),
                   " (= rules)");
  }
  if (config.model() != v1::MONOLITHIC && modules < 2) {
    return Invalid("modules: ", modules, " is not allowed for model = ", model,
                   "; allowed: 2..256");
  }
  if (config.has_scorer() && config.model() != v1::MODULAR) {
    return Invalid("scorer: ", v1::Scorer_Name(config.scorer()),
                   " is not allowed for model = ", model, "; allowed: none (only for MODULAR)");
  }
  if (config.model_dim() % modules != 0) {
    return Invalid("model_dim: ", config.model_dim(), " is not divisible by modules = ", modules,
                   "; allowed: a multiple of it, such as ",
                   (config.model_dim() / modules + 1) * modules);
  }

  const int64_t d = config.model_dim();
  const int64_t e = config.encoder_dim();
  const int64_t parameters = d * d + 4 * d * e + 2 * e * e + d * modules;
  if (parameters > kParametersMax) {
    return Invalid("model_dim: ", d, " with encoder_dim = ", e, " and modules = ", modules,
                   " makes about ", parameters,
                   " parameters (model_dim^2 + 4 model_dim encoder_dim + 2 encoder_dim^2 + "
                   "model_dim modules); allowed: at most ",
                   kParametersMax);
  }

  const int64_t points = 2 + (config.iterations() - 1) / config.eval_interval();
  if (points > kPointsMax) {
    return Invalid("eval_interval: ", config.eval_interval(), " makes ", points,
                   " evaluations in iterations = ", config.iterations(), "; allowed: at most ",
                   kPointsMax, " evaluations");
  }
  return absl::OkStatus();
}

// The text that JobKey() hashes, less the fields in `left_out`: one line
// "<field number>=<value>" for each field whose value is not its default.
std::string KeyText(const JobConfig& canonical, const std::set<int>& left_out) {
  JobConfig plain;
  plain.set_architecture(canonical.architecture());
  plain.set_target(canonical.target());
  plain.set_rules(canonical.rules());
  plain.set_model(canonical.model());
  const JobConfig required = plain;
  FillDefaults(&plain);

  std::string text;
  for (const std::string& name : JobFieldNames()) {
    const FieldDescriptor* field = Type().FindFieldByName(name);
    if (left_out.count(field->number()) > 0) continue;
    const std::string word = JobFieldWord(canonical, name);
    const bool is_required = Access().HasField(required, field);
    if (!is_required && word == JobFieldWord(plain, name)) continue;
    // Numbers of enum values outlive their names.
    absl::StrAppend(&text, field->number(), "=",
                    field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM
                        ? absl::StrCat(Access().GetEnumValue(canonical, field))
                        : word,
                    "\n");
  }
  return text;
}

}  // namespace

absl::StatusOr<JobConfig> Canonicalise(const JobConfig& config) {
  // A field from a newer client: to train without it would be another experiment.
  const auto& unknown = Access().GetUnknownFields(config);
  if (!unknown.empty()) {
    return Invalid("config: field number ", unknown.field(0).number(),
                   " is not known to this version");
  }
  JobConfig canonical = config;
  if (auto status = CheckEnums(&canonical); !status.ok()) return status;
  if (auto status = CheckRequired(canonical); !status.ok()) return status;
  if (auto status = CheckLimits(canonical); !status.ok()) return status;
  FillDefaults(&canonical);
  if (auto status = CheckRelations(canonical); !status.ok()) return status;
  return canonical;
}

std::string JobKey(const JobConfig& canonical) {
  return Sha256Hex(KeyText(canonical, {})).substr(0, 32);
}

std::string ShapeKey(const JobConfig& canonical) {
  const std::string hash = Sha256Hex(
      KeyText(canonical, {JobConfig::kDataSeedFieldNumber, JobConfig::kModelSeedFieldNumber,
                          JobConfig::kLearningRateFieldNumber}));
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

}  // namespace modlab
