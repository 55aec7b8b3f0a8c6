#include "worker/describe.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "lib/config/job_config.h"
#include "lib/config/words.h"
#include "lib/rules/task.h"
#include "lib/train/trainer.h"
#include "lib/yaml/document.h"
#include "nlohmann/json.hpp"
#include "yaml-cpp/yaml.h"

namespace modlab {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kFileBytesMax = size_t{1} << 20;
// Of an array of coefficients in a table.
constexpr size_t kNumbersShown = 4;

absl::Status ErrorAt(const YAML::Mark& mark, const std::string& message) {
  if (mark.is_null()) return absl::InvalidArgumentError(message);
  return absl::InvalidArgumentError(
      absl::StrCat("line ", mark.line + 1, ", column ", mark.column + 1, ": ", message));
}

// Nested lists of the coefficients' numbers: those of dimension `dimension` and
// further ones, from *next on.
Json NestedNumbers(const Coefficients& coefficients, size_t dimension, size_t* next) {
  Json list = Json::array();
  for (int64_t i = 0; i < coefficients.shape[dimension]; ++i) {
    if (dimension + 1 < coefficients.shape.size()) {
      list.push_back(NestedNumbers(coefficients, dimension + 1, next));
    } else {
      list.push_back(coefficients.values[(*next)++]);
    }
  }
  return list;
}

// One row a rule where every coefficient is a number of a rule; else one row an
// array, with its first numbers.
std::string CoefficientTable(const std::vector<Coefficients>& task, int rules) {
  const bool one_a_rule =
      std::all_of(task.begin(), task.end(), [](const auto& c) { return c.shape.size() == 1; });
  std::string out;
  if (one_a_rule) {
    absl::StrAppend(&out, "  rule");
    for (const Coefficients& c : task) absl::StrAppendFormat(&out, " %11s", c.name);
    absl::StrAppend(&out, "\n");
    for (int rule = 0; rule < rules; ++rule) {
      absl::StrAppendFormat(&out, "  %4d", rule);
      for (const Coefficients& c : task) {
        absl::StrAppendFormat(&out, " %11.8f", c.values[static_cast<size_t>(rule)]);
      }
      absl::StrAppend(&out, "\n");
    }
    return out;
  }
  for (const Coefficients& c : task) {
    absl::StrAppend(&out, "  ", c.name, "  [", absl::StrJoin(c.shape, ", "), "] ");
    const size_t shown = std::min(c.values.size(), kNumbersShown);
    for (size_t i = 0; i < shown; ++i) absl::StrAppendFormat(&out, " %.8f", c.values[i]);
    absl::StrAppend(&out, shown < c.values.size() ? " ...\n" : "\n");
  }
  return out;
}

// What the coefficients are for.
absl::string_view TaskFormula(const v1::JobConfig& canonical) {
  switch (canonical.architecture()) {
    case v1::MHA:
      return "y = alpha v1 + beta v2, of the tokens found";
    case v1::RNN:
      return "s_t = x_t B + s_(t-1) A[0] + s_(t-2) A[1] + ..., y = s_t, or s_t w in classification";
    default:
      return "y = alpha a + beta b";
  }
}

absl::Status SetFields(const YAML::Node& map, v1::JobConfig* config) {
  if (!map.IsMap()) {
    return ErrorAt(map.Mark(), "expected one map from fields to values, as in \"rules: 8\"");
  }
  std::set<std::string> seen;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) {
      return ErrorAt(entry.first.Mark(), "a field's name must be a single word");
    }
    const std::string& field = entry.first.Scalar();
    const absl::Status known = CheckJobField(field);
    if (!known.ok()) return ErrorAt(entry.first.Mark(), std::string(known.message()));
    if (!seen.insert(field).second) {
      return ErrorAt(entry.first.Mark(), absl::StrCat(field, ": given twice"));
    }
    if (!entry.second.IsScalar()) {
      return ErrorAt(entry.second.Mark(), absl::StrCat(field, ": expected a single value"));
    }
    const absl::Status set = SetJobField(field, entry.second.Scalar(), config);
    if (!set.ok()) return ErrorAt(entry.second.Mark(), std::string(set.message()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::JobConfig> ParseConfig(const std::string& text) {
  v1::JobConfig config;
  try {
    const absl::Status status = SetFields(LoadDocument(text), &config);
    if (!status.ok()) return status;
  } catch (const YAML::Exception& error) {
    return ErrorAt(error.mark, error.msg);
  }
  return Canonicalise(config);
}

absl::StatusOr<v1::JobConfig> ReadConfig(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  // A directory opens, but does not read.
  if (!file.is_open() || file.bad()) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file, or not readable"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": larger than ", kFileBytesMax, " bytes"));
  }
  absl::StatusOr<v1::JobConfig> config = ParseConfig(text);
  if (config.ok()) return config;
  return absl::Status(config.status().code(),
                      absl::StrCat(path, ": ", std::string(config.status().message())));
}

std::string DescribeAsJson(const v1::JobConfig& canonical) {
  Json config = Json::object();
  for (const std::string& field : JobFieldNames()) {
    const std::string word = JobFieldWord(canonical, field);
    if (word.empty()) continue;
    // A word is a number, or the name of an enum's value.
    const Json number = Json::parse(word, nullptr, /*allow_exceptions=*/false);
    config[field] = number.is_number() ? number : Json(word);
  }
  Json tensors = Json::array();
  for (const TensorShape& tensor : ModelTensors(canonical)) {
    tensors.push_back({{"name", tensor.name}, {"shape", tensor.shape}});
  }
  Json task = Json::object();
  for (const Coefficients& coefficients : MakeTask(canonical)->coefficients()) {
    size_t next = 0;
    task[coefficients.name] = NestedNumbers(coefficients, 0, &next);
  }
  Json description;
  description["parameters"] = ParameterCount(canonical);
  description["job_key"] = JobKey(canonical);
  description["shape_key"] = ShapeKey(canonical);
  description["config"] = config;
  description["tensors"] = tensors;
  description["task"] = task;
  return description.dump(2) + "\n";
}

std::string DescribeAsTable(const v1::JobConfig& canonical) {
  std::string out;
  absl::StrAppend(&out, "job key     ", JobKey(canonical), "\n");
  absl::StrAppend(&out, "shape key   ", ShapeKey(canonical), "\n");
  absl::StrAppend(&out, "parameters  ", ParameterCount(canonical), "\n\nconfig\n");
  for (const std::string& field : JobFieldNames()) {
    const std::string word = JobFieldWord(canonical, field);
    if (!word.empty()) absl::StrAppendFormat(&out, "  %-27s %s\n", field, word);
  }
  const std::vector<TensorShape> tensors = ModelTensors(canonical);
  size_t width = 0;
  for (const TensorShape& tensor : tensors) width = std::max(width, tensor.name.size());
  absl::StrAppend(&out, "\ntensors\n");
  for (const TensorShape& tensor : tensors) {
    absl::StrAppendFormat(&out, "  %-*s  [%s]\n", static_cast<int>(width), tensor.name,
                          absl::StrJoin(tensor.shape, ", "));
  }
  absl::StrAppend(&out, "\ntask: ", TaskFormula(canonical), "\n",
                  CoefficientTable(MakeTask(canonical)->coefficients(), canonical.rules()));
  return out;
}

}  // namespace modlab
