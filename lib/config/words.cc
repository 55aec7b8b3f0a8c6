#include "lib/config/words.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "lib/config/utf8.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

constexpr size_t kQuotedBytesMax = 64;

absl::Status UnknownWord(absl::string_view what, absl::string_view word,
                         const std::vector<std::string>& known) {
  const std::string nearest = NearestWord(word, known);
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": ", QuotedWord(word), " is not known",
                   nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?"),
                   nearest.empty() ? "; allowed: " : " Allowed: ", absl::StrJoin(known, ", ")));
}

// "" for the unspecified value, and for numbers that this build does not know.
std::string EnumWord(const EnumDescriptor* type, int number) {
  const auto* value = type->FindValueByNumber(number);
  return value == nullptr || number == 0 ? "" : absl::AsciiStrToLower(std::string(value->name()));
}

std::vector<std::string> EnumWords(const EnumDescriptor* type) {
  std::vector<std::string> words;
  for (int i = 0; i < type->value_count(); ++i) {
    if (type->value(i)->number() != 0) words.push_back(EnumWord(type, type->value(i)->number()));
  }
  return words;
}

absl::StatusOr<int> ParseEnumWord(absl::string_view what, absl::string_view word,
                                  const EnumDescriptor* type) {
  if (word.size() <= kQuotedBytesMax) {
    const auto* value =
        type->FindValueByName(absl::AsciiStrToUpper(absl::StrReplaceAll(word, {{"-", "_"}})));
    if (value != nullptr && value->number() != 0) return value->number();
  }
  return UnknownWord(what, word, EnumWords(type));
}

const FieldDescriptor* FindField(absl::string_view field) {
  return v1::JobConfig::descriptor()->FindFieldByName(std::string(field));
}

bool IsInteger(absl::string_view word) {
  if (!word.empty() && word[0] == '-') word.remove_prefix(1);
  return !word.empty() && std::all_of(word.begin(), word.end(), absl::ascii_isdigit);
}

// Nothing but what a decimal number is written with: no blanks, no "inf".
bool IsDecimal(absl::string_view word) {
  return !word.empty() && word[0] != '+' &&
         std::all_of(word.begin(), word.end(), [](unsigned char c) {
           return absl::ascii_isdigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' ||
                  c == 'E';
         });
}

template <typename Int>
absl::StatusOr<Int> ParseInteger(absl::string_view field, absl::string_view word) {
  Int value = 0;
  if (IsInteger(word) && absl::SimpleAtoi(word, &value)) return value;
  std::string allowed = "an integer";
  if (IsInteger(word)) {
    absl::StrAppend(&allowed, " between ", std::numeric_limits<Int>::min(), " and ",
                    std::numeric_limits<Int>::max());
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", QuotedWord(word), " is not allowed; allowed: ", allowed));
}

// The fewest digits that restore the value; "1e-4", where to_chars has "1e-04".
std::string DoubleWord(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return absl::StrReplaceAll(std::string(text, end), {{"e-0", "e-"}, {"e+0", "e+"}});
}

}  // namespace

std::string QuotedWord(absl::string_view word) {
  if (word.size() <= kQuotedBytesMax) return absl::StrCat("\"", absl::Utf8SafeCEscape(word), "\"");
  return absl::StrCat("\"", absl::Utf8SafeCEscape(CutUtf8(word, kQuotedBytesMax)), "...\"");
}

std::string NearestWord(absl::string_view word, const std::vector<std::string>& known) {
  // No known word is near one this long, and the time is quadratic.
  if (word.size() > kQuotedBytesMax) return "";
  std::string nearest;
  size_t nearest_distance = std::numeric_limits<size_t>::max();
  for (const std::string& candidate : known) {
    // distance[j]: from the first i letters of `word` to the first j of `candidate`.
    std::vector<size_t> distance(candidate.size() + 1);
    for (size_t j = 0; j < distance.size(); ++j) distance[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = distance[0];
      distance[0] = i;
      for (size_t j = 1; j < distance.size(); ++j) {
        const bool same = absl::ascii_tolower(static_cast<unsigned char>(word[i - 1])) ==
                          absl::ascii_tolower(static_cast<unsigned char>(candidate[j - 1]));
        const size_t replaced = diagonal + (same ? 0 : 1);
        diagonal = distance[j];
        distance[j] = std::min({replaced, distance[j] + 1, distance[j - 1] + 1});
      }
    }
    if (distance.back() < nearest_distance) {
      nearest_distance = distance.back();
      nearest = candidate;
    }
  }
  return 2 * nearest_distance <= nearest.size() ? nearest : "";
}

const std::vector<std::string>& JobFieldNames() {
  static const auto* const names = [] {
    const auto* type = v1::JobConfig::descriptor();
    std::vector<const FieldDescriptor*> fields;
    for (int i = 0; i < type->field_count(); ++i) fields.push_back(type->field(i));
    std::sort(fields.begin(), fields.end(),
              [](const auto* a, const auto* b) { return a->number() < b->number(); });
    auto* list = new std::vector<std::string>;
    for (const auto* field : fields) list->emplace_back(field->name());
    return list;
  }();
  return *names;
}

absl::Status CheckJobField(absl::string_view field, absl::string_view where) {
  if (field.size() <= kQuotedBytesMax && FindField(field) != nullptr) return absl::OkStatus();
  return UnknownWord(where, field, JobFieldNames());
}

absl::Status SetJobField(absl::string_view field, absl::string_view word, v1::JobConfig* config) {
  if (auto status = CheckJobField(field); !status.ok()) return status;
  const FieldDescriptor* descriptor = FindField(field);
  const auto* reflection = config->GetReflection();
  switch (descriptor->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto value = ParseEnumWord(field, word, descriptor->enum_type());
      if (!value.ok()) return value.status();
      reflection->SetEnumValue(config, descriptor, *value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto value = ParseInteger<int32_t>(field, word);
      if (!value.ok()) return value.status();
      reflection->SetInt32(config, descriptor, *value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      const auto value = ParseInteger<int64_t>(field, word);
      if (!value.ok()) return value.status();
      reflection->SetInt64(config, descriptor, *value);
      return absl::OkStatus();
    }
    default: {
      double value = 0.0;
      if (!IsDecimal(word) || !absl::SimpleAtod(word, &value)) {
        return absl::InvalidArgumentError(
            absl::StrCat(field, ": ", QuotedWord(word),
                         " is not allowed; allowed: a number such as 0.001 or 1e-4"));
      }
      reflection->SetDouble(config, descriptor, value);
      return absl::OkStatus();
    }
  }
}

std::string JobFieldWord(const v1::JobConfig& config, absl::string_view field) {
  const FieldDescriptor* descriptor = FindField(field);
  const auto* reflection = config.GetReflection();
  if (descriptor == nullptr || !reflection->HasField(config, descriptor)) return "";
  switch (descriptor->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumWord(descriptor->enum_type(), reflection->GetEnumValue(config, descriptor));
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection->GetInt32(config, descriptor));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection->GetInt64(config, descriptor));
    default:
      return DoubleWord(reflection->GetDouble(config, descriptor));
  }
}

std::string MetricName(v1::Metric metric) { return EnumWord(v1::Metric_descriptor(), metric); }

absl::StatusOr<v1::Metric> ParseMetric(absl::string_view name) {
  const auto number = ParseEnumWord("metric", name, v1::Metric_descriptor());
  if (!number.ok()) return number.status();
  return static_cast<v1::Metric>(*number);
}

std::string StateName(v1::JobState state) { return EnumWord(v1::JobState_descriptor(), state); }

absl::StatusOr<v1::JobState> ParseState(absl::string_view name) {
  const auto number = ParseEnumWord("state", name, v1::JobState_descriptor());
  if (!number.ok()) return number.status();
  return static_cast<v1::JobState>(*number);
}

std::string CauseName(v1::FailureCause cause) {
  return EnumWord(v1::FailureCause_descriptor(), cause);
}

}  // namespace modlab
