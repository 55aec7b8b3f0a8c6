#include "worker/evaluate.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/config/words.h"
#include "lib/train/device.h"
#include "lib/train/weights.h"
#include "lib/weights/weights.h"
#include "nlohmann/json.hpp"

namespace modlab {
namespace {

constexpr std::uintmax_t kFileBytesMax = std::uintmax_t{4} << 30;

// A family of metrics by length, and where its numbers begin.
struct Family {
  const char* name;
  int base;
};
constexpr Family kFamilies[] = {{"id", v1::ID_L3 - 3},
                                {"ood", v1::OOD_L3 - 3},
                                {"id_loss", v1::ID_LOSS_L3 - 3},
                                {"ood_loss", v1::OOD_LOSS_L3 - 3}};

bool IsByLength(v1::Metric metric) { return metric >= v1::ID_L3; }

// Figures by length, in the order of kFamilies.
std::map<int, std::vector<double>> ByLength(const v1::JobResult& result) {
  std::map<int, std::vector<double>> figures;
  for (size_t i = 0; i < std::size(kFamilies); ++i) {
    for (const v1::MetricValue& value : result.metrics()) {
      const int length = value.metric() - kFamilies[i].base;
      if (!IsByLength(value.metric()) || length < 0 || length >= 100) continue;
      figures[length].resize(std::size(kFamilies));
      figures[length][i] = value.value();
    }
  }
  return figures;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const auto unreadable = [&] {
    return absl::NotFoundError(absl::StrCat(path, ": no such file, or not readable"));
  };
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return unreadable();
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return unreadable();
  if (size > kFileBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": larger than 4 GiB"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) return unreadable();
  return bytes;
}

}  // namespace

absl::StatusOr<v1::JobResult> EvaluateFile(const v1::JobConfig& canonical, const std::string& path,
                                           absl::string_view device) {
  const absl::StatusOr<std::string> resolved = ResolveDevice(device);
  if (!resolved.ok()) return resolved.status();
  const absl::StatusOr<std::string> bytes = ReadFile(path);
  if (!bytes.ok()) return bytes.status();
  const auto of_file = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", std::string(status.message())));
  };
  const absl::StatusOr<TensorFile> weights = ReadWeights(*bytes);
  if (!weights.ok()) return of_file(weights.status());
  absl::StatusOr<v1::JobResult> result = EvaluateWeights(canonical, *weights, *resolved);
  if (!result.ok()) return of_file(result.status());
  return result;
}

std::string ResultAsTable(const v1::JobResult& result) {
  std::string out;
  for (const v1::MetricValue& value : result.metrics()) {
    if (IsByLength(value.metric())) continue;
    absl::StrAppendFormat(&out, "%-15s %.6g\n", MetricName(value.metric()), value.value());
  }
  const std::map<int, std::vector<double>> by_length = ByLength(result);
  if (!by_length.empty()) {
    absl::StrAppend(&out, "\nlength           id          ood      id_loss     ood_loss\n");
    for (const auto& [length, figures] : by_length) {
      absl::StrAppendFormat(&out, "%6d", length);
      for (const double figure : figures) absl::StrAppendFormat(&out, " %12.6g", figure);
      absl::StrAppend(&out, "\n");
    }
  }
  if (result.has_activation()) {
    const v1::ActivationMatrix& activation = result.activation();
    absl::StrAppend(&out, "\nactivation matrix: a row a rule, a column a module\n");
    for (int i = 0; i < activation.values_size(); ++i) {
      absl::StrAppendFormat(&out, "%8.5f%s", activation.values(i),
                            (i + 1) % activation.modules() == 0 ? "\n" : " ");
    }
  }
  return out;
}

std::string ResultAsJson(const v1::JobResult& result) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["metrics"] = Json::object();
  for (const v1::MetricValue& value : result.metrics()) {
    if (!IsByLength(value.metric())) json["metrics"][MetricName(value.metric())] = value.value();
  }
  for (const auto& [length, figures] : ByLength(result)) {
    Json entry = {{"length", length}};
    for (size_t i = 0; i < figures.size(); ++i) entry[kFamilies[i].name] = figures[i];
    json["lengths"].push_back(std::move(entry));
  }
  if (result.has_activation()) {
    const v1::ActivationMatrix& activation = result.activation();
    const auto begin = activation.values().begin();
    for (int rule = 0; rule < activation.rules(); ++rule) {
      const auto row = begin + rule * activation.modules();
      json["activation"].push_back(std::vector<float>(row, row + activation.modules()));
    }
  }
  return json.dump(2) + "\n";
}

}  // namespace modlab
