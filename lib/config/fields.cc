#include "lib/config/fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/config_numbers.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using google::protobuf::FieldDescriptor;
using v1::JobConfig;

// Sets of architectures, a bit each.
constexpr unsigned Only(v1::Architecture architecture) { return 1U << architecture; }
constexpr unsigned kMlp = Only(v1::MLP), kMha = Only(v1::MHA), kRnn = Only(v1::RNN);
constexpr unsigned kAll = kMlp | kMha | kRnn;

// Limits and default of a field, as job.proto states them for some architectures.
// Every integer that is allowed is a double exactly.
struct Limits {
  int field;
  unsigned architectures;
  double min;
  double max;
  std::optional<double> default_value;  // absent: none, or see DefaultOf()
  bool above_min = false;               // `min` itself is not allowed
};

constexpr double kSeedMax = 4294967295.0;

// A field is one of an architecture's if a row says so.
constexpr Limits kLimits[] = {
    {JobConfig::kRulesFieldNumber, kAll, 2, 256, std::nullopt},
    {JobConfig::kDataSeedFieldNumber, kAll, 0, kSeedMax, 0},
    {JobConfig::kSearchVersionFieldNumber, kMha, 1, 2, 1},
    {JobConfig::kSequenceLengthFieldNumber, kMha, 2, 200, 10},
    {JobConfig::kSequenceLengthFieldNumber, kRnn, 1, 200, 10},
    {JobConfig::kInputDimFieldNumber, kRnn, 1, 1024, 32},
    {JobConfig::kOrderFieldNumber, kRnn, 1, 16, 1},

    {JobConfig::kModulesFieldNumber, kAll, 1, 256, std::nullopt},
    {JobConfig::kEncoderDimFieldNumber, kAll, 1, 8192, 32},
    {JobConfig::kModelDimFieldNumber, kAll, 1, 65536, 128},
    {JobConfig::kHeadsFieldNumber, kMha, 1, 512, std::nullopt},
    {JobConfig::kScorerFieldNumber, kMlp, v1::JOINT, v1::SEPARATE, std::nullopt},
    {JobConfig::kModelSeedFieldNumber, kAll, 0, kSeedMax, 0},

    {JobConfig::kIterationsFieldNumber, kMlp, 1, 1e8, 100000},
    {JobConfig::kIterationsFieldNumber, kMha | kRnn, 1, 1e8, 500000},
    {JobConfig::kBatchSizeFieldNumber, kAll, 1, 65536, 256},
    {JobConfig::kLearningRateFieldNumber, kAll, 0, 10, 1e-4, true},
    {JobConfig::kHalveLearningRateEveryFieldNumber, kAll, 0, 1e8, 0},
    {JobConfig::kHalveLearningRateTimesFieldNumber, kAll, 1, 64, std::nullopt},

    {JobConfig::kEvalIntervalFieldNumber, kAll, 1, 1e8, 5000},
    {JobConfig::kEvalBatchesFieldNumber, kAll, 1, 10000, 10},
    {JobConfig::kValidationBatchesFieldNumber, kAll, 0, 10000, 10},
    {JobConfig::kFinalBatchesFieldNumber, kAll, 1, 100000, 100},
    {JobConfig::kFinalBatchSizeFieldNumber, kAll, 1, 65536, 1000},
    {JobConfig::kActivationBatchesFieldNumber, kAll, 1, 100000, 1000},
    {JobConfig::kActivationBatchSizeFieldNumber, kMlp | kMha, 1, 65536, std::nullopt},
    {JobConfig::kActivationBatchSizeFieldNumber, kRnn, 1, 65536, 100},
    {JobConfig::kAdaptationDrawsFieldNumber, kAll, 1, 10000, 100},
    {JobConfig::kAdaptationBatchesFieldNumber, kAll, 1, 10000, 10},
};

constexpr int kRequired[] = {JobConfig::kArchitectureFieldNumber, JobConfig::kTargetFieldNumber,
                             JobConfig::kRulesFieldNumber, JobConfig::kModelFieldNumber};

// Kept, because protobuf's own look-up of them is most of a Canonicalise().
const google::protobuf::Descriptor& Type() {
  static const auto* const type = JobConfig::descriptor();
  return *type;
}
const google::protobuf::Reflection& Access() {
  static const auto* const access = JobConfig().GetReflection();
  return *access;
}

// By number, of which there must be one.
const FieldDescriptor* Field(int number) {
  static const auto* const fields = [] {
    auto* all = new std::array<const FieldDescriptor*, ConfigNumbers::kFieldsEnd>{};
    for (int i = 0; i < Type().field_count(); ++i) {
      all->at(static_cast<size_t>(Type().field(i)->number())) = Type().field(i);
    }
    return all;
  }();
  return (*fields)[static_cast<size_t>(number)];
}

void SetNumber(const FieldDescriptor* field, double value, JobConfig* config) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return Access().SetEnumValue(config, field, static_cast<int>(value));
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

// The row of a field for an architecture; null where it has none.
const Limits* FindLimits(int field, v1::Architecture architecture) {
  for (const Limits& limits : kLimits) {
    if (limits.field == field && (limits.architectures & Only(architecture)) != 0) return &limits;
  }
  return nullptr;
}

// Enums must be set to a value that this build knows.
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
    const FieldDescriptor* field = Type().FindFieldByNumber(number);
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
  return absl::OkStatus();
}

// The error of a field that is set and not one of the architecture's.
absl::Status NotOfArchitecture(const JobConfig& config, const FieldDescriptor* field) {
  std::string owners;
  for (const v1::Architecture owner : {v1::MLP, v1::MHA, v1::RNN}) {
    if (FindLimits(field->number(), owner) == nullptr) continue;
    absl::StrAppend(&owners, owners.empty() ? "" : " and ", v1::Architecture_Name(owner));
  }
  const std::string name(field->name());
  return Invalid(
      name, ": ", absl::AsciiStrToUpper(JobFieldWord(config, name)),
      " is not allowed for architecture = ", v1::Architecture_Name(config.architecture()),
      "; allowed: none (only for ", owners, ")");
}

absl::Status CheckLimits(const JobConfig& config) {
  const ConfigNumbers numbers(config);
  for (const Limits& limits : kLimits) {
    if (!numbers.has(limits.field)) continue;
    if ((limits.architectures & Only(config.architecture())) == 0) {
      if (FindLimits(limits.field, config.architecture()) != nullptr) continue;
      return NotOfArchitecture(config, Field(limits.field));
    }
    const double value = numbers[limits.field];
    // Written so that NaN is refused.
    const bool ok =
        (limits.above_min ? value > limits.min : value >= limits.min) && value <= limits.max;
    if (ok) continue;
    const auto min = static_cast<int64_t>(limits.min);
    const auto max = static_cast<int64_t>(limits.max);
    const std::string name(Field(limits.field)->name());
    return Invalid(name, ": ", JobFieldWord(config, name), " is not allowed; allowed: ",
                   limits.above_min ? absl::StrCat("above ", min, ", at most ", max)
                                    : absl::StrCat(min, "..", max));
  }
  return absl::OkStatus();
}

// What DefaultOf() looks at, besides the architecture.
struct Dependence {
  int field;
  int on;
};

constexpr Dependence kDependences[] = {
    {JobConfig::kModulesFieldNumber, JobConfig::kModelFieldNumber},
    {JobConfig::kModulesFieldNumber, JobConfig::kRulesFieldNumber},
    {JobConfig::kHeadsFieldNumber, JobConfig::kModelFieldNumber},
    {JobConfig::kHeadsFieldNumber, JobConfig::kRulesFieldNumber},
    {JobConfig::kScorerFieldNumber, JobConfig::kModelFieldNumber},
    {JobConfig::kHalveLearningRateTimesFieldNumber, JobConfig::kHalveLearningRateEveryFieldNumber},
};

// What the field of `limits` is in such a job if nobody says. Needs the required
// fields, and what kDependences names.
std::optional<double> DefaultOf(const Limits& limits, const ConfigNumbers& config) {
  const double model = config[JobConfig::kModelFieldNumber];
  const double rules = config[JobConfig::kRulesFieldNumber];
  const bool monolithic = model == v1::MONOLITHIC;
  switch (limits.field) {
    case JobConfig::kModulesFieldNumber:
      return monolithic ? 1 : rules;
    case JobConfig::kHeadsFieldNumber:
      return monolithic ? 2 * rules : 2;
    case JobConfig::kScorerFieldNumber:
      if (model == v1::MODULAR) return v1::JOINT;
      return std::nullopt;
    case JobConfig::kHalveLearningRateTimesFieldNumber:
      if (config[JobConfig::kHalveLearningRateEveryFieldNumber] > 0) return 3;
      return std::nullopt;
    default:
      return limits.default_value;
  }
}

}  // namespace

double FieldValue(const JobConfig& config, const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return Access().GetEnumValue(config, field);
    case FieldDescriptor::CPPTYPE_INT32:
      return Access().GetInt32(config, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(Access().GetInt64(config, field));
    default:
      return Access().GetDouble(config, field);
  }
}

absl::Status CheckFields(JobConfig* config) {
  if (auto status = CheckEnums(config); !status.ok()) return status;
  if (auto status = CheckRequired(*config); !status.ok()) return status;
  return CheckLimits(*config);
}

void FillDefaults(JobConfig* config) {
  // What a default depends on is required, or is 0 where it is not set.
  const ConfigNumbers numbers(*config);
  for (const Limits& limits : kLimits) {
    if ((limits.architectures & Only(config->architecture())) == 0) continue;
    if (numbers.has(limits.field)) continue;
    if (const auto value = DefaultOf(limits, numbers)) {
      SetNumber(Field(limits.field), *value, config);
    }
  }
}

bool IsDefault(const ConfigNumbers& canonical, int field) {
  if (!canonical.has(field)) return true;
  const auto architecture = static_cast<v1::Architecture>(
      static_cast<int>(canonical[JobConfig::kArchitectureFieldNumber]));
  const Limits* limits = FindLimits(field, architecture);
  return limits != nullptr && canonical[field] == DefaultOf(*limits, canonical);
}

std::set<std::string> FollowingFields(const std::set<std::string>& fields) {
  std::set<std::string> following;
  const auto add = [&](int number) {
    const std::string name(Type().FindFieldByNumber(number)->name());
    if (fields.count(name) == 0) following.insert(name);
  };
  for (const Dependence& dependence : kDependences) {
    if (fields.count(std::string(Type().FindFieldByNumber(dependence.on)->name())) > 0) {
      add(dependence.field);
    }
  }
  if (fields.count("architecture") > 0) {
    for (const Limits& limits : kLimits) {
      if (limits.architectures != kAll) add(limits.field);
    }
  }
  return following;
}

}  // namespace modlab
