#include "client/sweep_file.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/policy.h"
#include "lib/config/sweep_policy.h"
#include "lib/config/sweep_spec.h"
#include "lib/config/words.h"
#include "lib/yaml/document.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr int64_t kValuesMax = kSweepJobsMax;

// Reads one document into a spec. Its methods return false after `status_` got
// the first error.
class SweepReader {
 public:
  explicit SweepReader(const std::string& path) : path_(path) {}

  absl::StatusOr<SweepFile> Read(const YAML::Node& document);

 private:
  bool Fail(const YAML::Mark& mark, absl::string_view what);
  // Calls visit(key, key node, value node) for each entry, each key once.
  template <typename Visit>
  bool ReadMap(const YAML::Node& node, absl::string_view what, Visit visit);
  bool ReadTop(const std::string& key, const YAML::Node& key_node, const YAML::Node& value);
  bool ReadDefaults(const YAML::Node& node);
  bool ReadGrids(const YAML::Node& node);
  bool ReadGrid(const YAML::Node& node);
  bool ReadAxis(const std::string& field, const YAML::Node& node, v1::Axis* axis);
  bool ReadRange(const std::string& field, const YAML::Node& node, v1::Axis* axis);
  bool ReadValue(const std::string& field, const YAML::Node& node, v1::Axis* axis);
  bool ReadRequires(const YAML::Node& node);
  bool ReadLabels(const YAML::Node& node, v1::Requirements* requirements);
  // One number or word of the policy.
  bool ReadInteger(const std::string& key, const YAML::Node& node, int32_t* number);
  bool CheckAt(const YAML::Mark& mark, const absl::Status& status);
  bool CheckField(const std::string& field, const YAML::Node& key_node);
  bool CountValues(const YAML::Node& node, double count);
  // Where the error of ExpandSweep() is, as far as it says so.
  const YAML::Mark& MarkOf(const absl::Status& error) const;

  const std::string path_;
  absl::Status status_;
  v1::SweepSpec spec_;
  v1::SweepPolicy policy_;
  double values_ = 0;
  YAML::Mark top_mark_;
  YAML::Mark name_mark_;
  YAML::Mark defaults_mark_;
  YAML::Mark grid_mark_;                // of the key
  std::vector<YAML::Mark> grid_marks_;  // of each grid
};

absl::Status ErrorAt(const std::string& path, const YAML::Mark& mark, absl::StatusCode code,
                     absl::string_view what) {
  if (mark.is_null()) return absl::Status(code, absl::StrCat(path, ": ", what));
  return absl::Status(code,
                      absl::StrCat(path, ":", mark.line + 1, ":", mark.column + 1, ": ", what));
}

std::string Kind(const YAML::Node& node) {
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  if (node.IsScalar()) return QuotedWord(node.Scalar());
  return "nothing";
}

bool SweepReader::Fail(const YAML::Mark& mark, absl::string_view what) {
  status_ = ErrorAt(path_, mark, absl::StatusCode::kInvalidArgument, what);
  return false;
}

template <typename Visit>
bool SweepReader::ReadMap(const YAML::Node& node, absl::string_view what, Visit visit) {
  if (!node.IsMap()) {
    return Fail(node.Mark(), absl::StrCat(what, " must be a map (key: value), not ", Kind(node)));
  }
  std::set<std::string> keys;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      return Fail(entry.first.Mark(),
                  absl::StrCat("a key of ", what, " must be a word, not ", Kind(entry.first)));
    }
    const std::string key = entry.first.Scalar();
    if (!keys.insert(key).second) {
      return Fail(entry.first.Mark(), absl::StrCat(QuotedWord(key), " is given twice in ", what));
    }
    if (!visit(key, entry.first, entry.second)) return false;
  }
  return true;
}

bool SweepReader::CheckField(const std::string& field, const YAML::Node& key_node) {
  return CheckAt(key_node.Mark(), CheckJobField(field));
}

bool SweepReader::ReadTop(const std::string& key, const YAML::Node& key_node,
                          const YAML::Node& value) {
  if (key == "name") {
    name_mark_ = key_node.Mark();
    if (!value.IsScalar()) {
      return Fail(key_node.Mark(), absl::StrCat("name must be a word, not ", Kind(value)));
    }
    spec_.set_name(value.Scalar());
    return true;
  }
  if (key == "defaults") {
    defaults_mark_ = key_node.Mark();
    return ReadDefaults(value);
  }
  if (key == "grid") {
    grid_mark_ = key_node.Mark();
    return ReadGrids(value);
  }
  if (key == "priority" || key == "max_running") {
    int32_t number = 0;
    if (!ReadInteger(key, value, &number)) return false;
    if (key == "priority") policy_.set_priority(number);
    if (key == "max_running") policy_.set_max_running(number);
    return CheckAt(value.Mark(), CheckPolicy(policy_));
  }
  if (key == "preempt") {
    bool preempt = false;
    if (!value.IsScalar() || !YAML::convert<bool>::decode(value, preempt)) {
      return Fail(key_node.Mark(),
                  absl::StrCat("preempt must be true or false, not ", Kind(value)));
    }
    policy_.set_preempt(preempt);
    return true;
  }
  if (key == "requires") return ReadRequires(value);
  if (CheckJobField(key).ok()) {
    return Fail(key_node.Mark(),
                absl::StrCat(key, " belongs under \"defaults\" or \"grid\", indented"));
  }
  const std::vector<std::string> known = {"name",        "defaults", "grid",    "priority",
                                          "max_running", "preempt",  "requires"};
  const std::string nearest = NearestWord(key, known);
  const std::string hint =
      nearest.empty() ? "; allowed: " : absl::StrCat("; did you mean \"", nearest, "\"? Allowed: ");
  return Fail(key_node.Mark(),
              absl::StrCat("unknown key ", QuotedWord(key), hint, absl::StrJoin(known, ", ")));
}

bool SweepReader::CheckAt(const YAML::Mark& mark, const absl::Status& status) {
  return status.ok() || Fail(mark, status.message());
}

bool SweepReader::ReadInteger(const std::string& key, const YAML::Node& node, int32_t* number) {
  if (node.IsScalar() && absl::SimpleAtoi(node.Scalar(), number)) return true;
  return Fail(node.Mark(), absl::StrCat(key, " must be a whole number, not ", Kind(node)));
}

bool SweepReader::ReadRequires(const YAML::Node& node) {
  v1::Requirements* const requirements = policy_.mutable_requirements();
  return ReadMap(
      node, "requires",
      [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& value) {
        if (key == "labels") return ReadLabels(value, requirements);
        if (key == "device" && value.IsScalar()) {
          requirements->set_device(value.Scalar());
          return CheckAt(value.Mark(), CheckRequirements(*requirements));
        }
        double gib = 0;
        if (key == "memory_gib" && value.IsScalar() && absl::SimpleAtod(value.Scalar(), &gib)) {
          const absl::StatusOr<int64_t> bytes = BytesOfGib(gib);
          if (bytes.ok()) requirements->set_memory_bytes(*bytes);
          return CheckAt(value.Mark(), bytes.status());
        }
        if (key == "device" || key == "memory_gib") {
          return Fail(key_node.Mark(),
                      absl::StrCat(key, " of requires must be a ",
                                   key == "device" ? "word" : "number", ", not ", Kind(value)));
        }
        return Fail(key_node.Mark(),
                    absl::StrCat("unknown key ", QuotedWord(key),
                                 " of requires. Allowed: device, memory_gib, labels"));
      });
}

bool SweepReader::ReadLabels(const YAML::Node& node, v1::Requirements* requirements) {
  const auto add = [&](const YAML::Node& label) {
    if (!label.IsScalar()) {
      return Fail(label.Mark(), absl::StrCat("labels: a label must be a word, not ", Kind(label)));
    }
    requirements->add_labels(label.Scalar());
    return CheckAt(label.Mark(), CheckRequirements(*requirements));
  };
  if (!node.IsSequence()) return add(node);
  for (const auto& label : node) {
    if (!add(label)) return false;
  }
  return true;
}

bool SweepReader::ReadDefaults(const YAML::Node& node) {
  return ReadMap(
      node, "defaults",
      [this](const std::string& field, const YAML::Node& key, const YAML::Node& value) {
        if (!CheckField(field, key)) return false;
        if (!value.IsScalar()) {
          return Fail(key.Mark(), absl::StrCat(field,
                                               " in defaults must be one value, "
                                               "not ",
                                               Kind(value), "; lists belong under \"grid\""));
        }
        return CheckAt(value.Mark(), SetJobField(field, value.Scalar(), spec_.mutable_defaults()));
      });
}

bool SweepReader::ReadGrids(const YAML::Node& node) {
  if (!node.IsSequence()) return ReadGrid(node);
  if (node.size() == 0) {
    return Fail(node.Mark(), "grid is an empty list; leave it out for a sweep of one job");
  }
  for (const auto& grid : node) {
    if (!ReadGrid(grid)) return false;
  }
  return true;
}

bool SweepReader::ReadGrid(const YAML::Node& node) {
  grid_marks_.push_back(node.Mark());
  if (node.IsNull() || (node.IsMap() && node.size() == 0)) {
    // Nothing has no place of its own.
    return Fail(node.IsNull() ? grid_mark_ : node.Mark(),
                "grid is empty; give at least one field with its values, or leave "
                "it out for a sweep of one job");
  }
  v1::Grid* grid = spec_.add_grids();
  return ReadMap(node, "grid",
                 [&](const std::string& field, const YAML::Node& key, const YAML::Node& value) {
                   if (!CheckField(field, key)) return false;
                   v1::Axis* axis = grid->add_axes();
                   axis->set_field(field);
                   if (value.IsNull()) {
                     return Fail(key.Mark(), absl::StrCat(field,
                                                          " has no values; give at least "
                                                          "one"));
                   }
                   return ReadAxis(field, value, axis);
                 });
}

bool SweepReader::ReadAxis(const std::string& field, const YAML::Node& node, v1::Axis* axis) {
  if (node.IsMap()) return ReadRange(field, node, axis);
  if (node.IsScalar()) return CountValues(node, 1) && ReadValue(field, node, axis);
  if (node.size() == 0) {
    return Fail(node.Mark(), absl::StrCat(field, " has an empty list; give at least one value"));
  }
  if (!CountValues(node, static_cast<double>(node.size()))) return false;
  for (const auto& value : node) {
    if (!ReadValue(field, value, axis)) return false;
  }
  return true;
}

bool SweepReader::ReadValue(const std::string& field, const YAML::Node& node, v1::Axis* axis) {
  if (!node.IsScalar()) {
    return Fail(node.Mark(),
                absl::StrCat(field, ": a value must be a number or word, not ", Kind(node)));
  }
  v1::JobConfig scratch;
  const absl::Status status = SetJobField(field, node.Scalar(), &scratch);
  if (!status.ok()) return Fail(node.Mark(), status.message());
  axis->add_values(node.Scalar());
  return true;
}

bool SweepReader::ReadRange(const std::string& field, const YAML::Node& node, v1::Axis* axis) {
  double from = NAN, to = NAN, step = 1;
  const auto read = [&](const std::string& key, const YAML::Node& key_node,
                        const YAML::Node& value) {
    double* const number = key == "from"   ? &from
                           : key == "to"   ? &to
                           : key == "step" ? &step
                                           : nullptr;
    if (number == nullptr) {
      return Fail(key_node.Mark(), absl::StrCat(field, ": unknown key ", QuotedWord(key),
                                                " of a range. Allowed: from, to, step"));
    }
    if (!value.IsScalar() || !absl::SimpleAtod(value.Scalar(), number) || !std::isfinite(*number)) {
      return Fail(key_node.Mark(),
                  absl::StrCat(field, ": ", key, " must be a number, not ", Kind(value)));
    }
    return true;
  };
  if (!ReadMap(node, absl::StrCat(field, ", as a range,"), read)) return false;
  if (std::isnan(from) || std::isnan(to)) {
    return Fail(node.Mark(), absl::StrCat(field,
                                          ": a range needs from and to, for example "
                                          "{from: 0, to: 4, step: 1}"));
  }
  if (step <= 0) return Fail(node.Mark(), absl::StrCat(field, ": step must be above 0"));
  if (from > to) {
    return Fail(node.Mark(), absl::StrCat(field, ": the range is empty: from is above to"));
  }
  // Rounding must not lose the last value of {from: 0.1, to: 0.3, step: 0.1}.
  const double steps = std::floor((to - from) / step + 1e-9);
  if (!CountValues(node, steps + 1)) return false;
  for (int64_t i = 0; i <= static_cast<int64_t>(steps); ++i) {
    // 15 digits give decimals back as they were written.
    const std::string word = absl::StrFormat("%.15g", from + static_cast<double>(i) * step);
    v1::JobConfig scratch;
    const absl::Status status = SetJobField(field, word, &scratch);
    if (!status.ok()) return Fail(node.Mark(), status.message());
    axis->add_values(word);
  }
  return true;
}

bool SweepReader::CountValues(const YAML::Node& node, double count) {
  values_ += count;
  return values_ <= static_cast<double>(kValuesMax) ||
         Fail(node.Mark(), absl::StrFormat("the grids list more than %d values; a sweep may have "
                                           "at most %d jobs",
                                           kValuesMax, kSweepJobsMax));
}

const YAML::Mark& SweepReader::MarkOf(const absl::Status& error) const {
  absl::string_view message = error.message();
  if (absl::ConsumePrefix(&message, "name:")) return name_mark_;
  if (absl::ConsumePrefix(&message, "defaults:")) return defaults_mark_;
  if (absl::ConsumePrefix(&message, "grids:")) return grid_mark_;
  if (absl::ConsumePrefix(&message, "grid ")) {
    size_t number = 0;
    const absl::string_view digits = message.substr(0, message.find_first_not_of("0123456789"));
    if (absl::SimpleAtoi(digits, &number) && number >= 1 && number <= grid_marks_.size()) {
      return grid_marks_[number - 1];
    }
  }
  return top_mark_;
}

absl::StatusOr<SweepFile> SweepReader::Read(const YAML::Node& document) {
  top_mark_ = name_mark_ = defaults_mark_ = grid_mark_ = document.Mark();
  const auto read_top = [this](const std::string& key, const YAML::Node& key_node,
                               const YAML::Node& value) { return ReadTop(key, key_node, value); };
  if (!ReadMap(document, "the file", read_top)) return status_;
  if (spec_.name().empty()) {
    Fail(top_mark_, "name is missing; begin the file with, for example, \"name: my-sweep\"");
    return status_;
  }
  auto jobs = ExpandSweep(spec_);
  if (!jobs.ok()) {
    return ErrorAt(path_, MarkOf(jobs.status()), jobs.status().code(), jobs.status().message());
  }
  return SweepFile{std::move(spec_), std::move(policy_), *std::move(jobs)};
}

}  // namespace

absl::StatusOr<SweepFile> ParseSweep(absl::string_view text, const std::string& path) {
  try {
    const YAML::Node document = LoadDocument(std::string(text));
    if (document.IsNull()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": the file is empty"));
    }
    return SweepReader(path).Read(document);
  } catch (const SecondDocument& error) {
    return ErrorAt(path, error.mark, absl::StatusCode::kInvalidArgument,
                   absl::StrCat(error.msg, "; a sweep file has one"));
  } catch (const YAML::DeepRecursion& error) {
    return ErrorAt(path, error.mark, absl::StatusCode::kInvalidArgument,
                   "malformed YAML: lists or maps are nested too deeply");
  } catch (const YAML::Exception& error) {
    return ErrorAt(path, error.mark, absl::StatusCode::kInvalidArgument,
                   absl::StrCat("malformed YAML: ", error.msg));
  }
}

absl::StatusOr<SweepFile> ReadSweepFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the file is too large; a sweep file has at most 1 MiB"));
  }
  return ParseSweep(text, path);
}

}  // namespace modlab
