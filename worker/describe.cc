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
#include "lib/config/job_config.h"
#include "lib/config/words.h"
#include "lib/rules/mlp_task.h"
#include "lib/train/trainer.h"
#include "nlohmann/json.hpp"
#include "yaml-cpp/yaml.h"

namespace modlab {
namespace {

constexpr size_t kFileBytesMax = size_t{1} << 20;

absl::Status ErrorAt(const YAML::Mark& mark, const std::string& message) {
  if (mark.is_null()) return absl::InvalidArgumentError(message);
  return absl::InvalidArgumentError(
      absl::StrCat("line ", mark.line + 1, ", column ", mark.column + 1, ": ", message));
}

MlpTask Task(const v1::JobConfig& canonical) {
  return MlpTask(canonical.rules(), static_cast<uint32_t>(canonical.data_seed()));
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
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected one document, not ", documents.size()));
    }
    const absl::Status status = SetFields(documents.front(), &config);
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
  using Json = nlohmann::ordered_json;
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
  const MlpTask task = Task(canonical);
  Json description;
  description["parameters"] = ParameterCount(canonical);
  description["job_key"] = JobKey(canonical);
  description["shape_key"] = ShapeKey(canonical);
  description["config"] = config;
  description["tensors"] = tensors;
  description["task"] = {{"alpha", task.alpha()}, {"beta", task.beta()}};
  return description.dump(2) + "\n";
}

std::string DescribeAsTable(const v1::JobConfig& canonical) {
  std::string out;
  absl::StrAppend(&out, "job key     ", JobKey(canonical), "\n");
  absl::StrAppend(&out, "shape key   ", ShapeKey(canonical), "\n");
  absl::StrAppend(&out, "parameters  ", ParameterCount(canonical), "\n\nconfig\n");
  for (const std::string& field : JobFieldNames()) {
    absl::StrAppendFormat(&out, "  %-20s %s\n", field, JobFieldWord(canonical, field));
  }
  const std::vector<TensorShape> tensors = ModelTensors(canonical);
  size_t width = 0;
  for (const TensorShape& tensor : tensors) width = std::max(width, tensor.name.size());
  absl::StrAppend(&out, "\ntensors\n");
  for (const TensorShape& tensor : tensors) {
    absl::StrAppendFormat(&out, "  %-*s  [%s]\n", static_cast<int>(width), tensor.name,
                          absl::StrJoin(tensor.shape, ", "));
  }
  const MlpTask task = Task(canonical);
  absl::StrAppend(&out, "\ntask: y = alpha a + beta b\n  rule       alpha        beta\n");
  for (size_t rule = 0; rule < task.alpha().size(); ++rule) {
    absl::StrAppendFormat(&out, "  %4d %11.8f %11.8f\n", rule, task.alpha()[rule],
                          task.beta()[rule]);
  }
  return out;
}

}  // namespace modlab
