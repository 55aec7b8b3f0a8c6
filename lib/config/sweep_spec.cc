#include "lib/config/sweep_spec.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/job_config.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

constexpr int kGridsMax = 1000;
constexpr size_t kNameBytesMax = 63;
// Counts of points stop here: far above the limit, far below overflow.
constexpr int64_t kPointsCounted = 1'000'000'000'000;

// A field and its values, each as a config in which nothing else is set: a point
// is made by merging, and a word is read once, not once a point.
struct ParsedAxis {
  std::string field;
  std::vector<v1::JobConfig> values;
};
using ParsedGrid = std::vector<ParsedAxis>;

absl::Status CheckName(absl::string_view name) {
  bool ok = !name.empty() && name.size() <= kNameBytesMax &&
            absl::ascii_islower(static_cast<unsigned char>(name.front())) &&
            absl::ascii_isalnum(static_cast<unsigned char>(name.back()));
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    ok = ok && (absl::ascii_islower(letter) || absl::ascii_isdigit(letter) || c == '-' || c == '_');
  }
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "name: ", QuotedWord(name),
      " is not allowed; allowed: 1..63 characters: lower-case letters, digits, '-' and '_', "
      "starting with a letter and ending with a letter or digit"));
}

absl::StatusOr<ParsedGrid> ParseGrid(const v1::Grid& grid) {
  if (grid.axes().empty()) return absl::InvalidArgumentError("has no axes; give at least one");
  ParsedGrid parsed;
  absl::flat_hash_set<std::string> fields;
  for (const v1::Axis& axis : grid.axes()) {
    if (auto status = CheckJobField(axis.field()); !status.ok()) return status;
    if (!fields.insert(axis.field()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(axis.field(), ": is on two axes; give all its values on one"));
    }
    if (axis.values().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(axis.field(), ": has no values; give at least one"));
    }
    ParsedAxis parsed_axis{axis.field(), {}};
    absl::flat_hash_set<std::string> seen;
    for (const std::string& word : axis.values()) {
      v1::JobConfig value;
      if (auto status = SetJobField(axis.field(), word, &value); !status.ok()) return status;
      if (seen.insert(value.SerializeAsString()).second) {
        parsed_axis.values.push_back(std::move(value));
      }
    }
    parsed.push_back(std::move(parsed_axis));
  }
  return parsed;
}

int64_t CountPoints(const std::vector<ParsedGrid>& grids) {
  int64_t total = 0;
  for (const ParsedGrid& grid : grids) {
    int64_t points = 1;
    for (const ParsedAxis& axis : grid) {
      const auto values = static_cast<int64_t>(axis.values.size());
      points = points > kPointsCounted / values ? kPointsCounted : points * values;
    }
    total = total > kPointsCounted - points ? kPointsCounted : total + points;
  }
  return total;
}

absl::Status CheckPoints(const std::vector<ParsedGrid>& grids) {
  const int64_t points = CountPoints(grids);
  if (points <= kSweepJobsMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("grids: ", points == kPointsCounted ? "at least " : "", points,
                   " jobs are too many for one sweep; allowed: at most ", kSweepJobsMax));
}

absl::Status WithPrefix(absl::string_view prefix, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(prefix, ": ", status.message()));
}

// Canonical configs, each once.
class Collector {
 public:
  explicit Collector(const VisitConfig& visit) : visit_(visit) {}

  absl::Status Add(const v1::JobConfig& config) {
    auto canonical = Canonicalise(config);
    if (!canonical.ok()) return canonical.status();
    const JobKeys::Keys keys = keys_.Of(*canonical);
    if (seen_.insert(Number(keys.job_key)).second) visit_(*canonical, keys);
    return absl::OkStatus();
  }

 private:
  // A job key in a fourth of its memory.
  using KeyNumber = std::pair<uint64_t, uint64_t>;
  static KeyNumber Number(absl::string_view job_key) {
    KeyNumber number;
    if (!absl::SimpleHexAtoi(job_key.substr(0, 16), &number.first) ||
        !absl::SimpleHexAtoi(job_key.substr(16), &number.second)) {
      std::abort();  // it is 32 hex digits
    }
    return number;
  }

  const VisitConfig& visit_;
  JobKeys keys_;
  absl::flat_hash_set<KeyNumber> seen_;
};

absl::Status ExpandGrid(const v1::JobConfig& defaults, const ParsedGrid& grid,
                        Collector* collector) {
  std::vector<size_t> choice(grid.size(), 0);
  while (true) {
    v1::JobConfig point;
    for (size_t i = 0; i < grid.size(); ++i) point.MergeFrom(grid[i].values[choice[i]]);
    v1::JobConfig config = defaults;
    config.MergeFrom(point);
    if (auto status = collector->Add(config); !status.ok()) {
      std::string prefix = "point";
      for (const ParsedAxis& axis : grid) {
        absl::StrAppend(&prefix, " ", axis.field, "=", JobFieldWord(point, axis.field));
      }
      return WithPrefix(prefix, status);
    }
    // The next point: the last axis varies fastest.
    size_t axis = grid.size();
    while (axis > 0 && ++choice[axis - 1] == grid[axis - 1].values.size()) choice[--axis] = 0;
    if (axis == 0) return absl::OkStatus();
  }
}

// The value of a field that is no axis of `grid`, as a word: all jobs of the grid must
// agree in it.
absl::StatusOr<std::string> ValueInGrid(const v1::JobConfig& defaults, const ParsedGrid& grid,
                                        const std::string& field) {
  std::string chosen = JobFieldWord(defaults, field);
  if (!chosen.empty()) return chosen;
  if (auto status = CheckPoints({grid}); !status.ok()) return status;
  absl::btree_set<std::string> words;
  const VisitConfig add_word = [&](const v1::JobConfig& config, const JobKeys::Keys&) {
    words.insert(JobFieldWord(config, field));
  };
  Collector collector(add_word);
  if (auto status = ExpandGrid(defaults, grid, &collector); !status.ok()) return status;
  if (words.size() == 1 && !words.begin()->empty()) return *words.begin();
  const auto name = [](const std::string& word) { return word.empty() ? "none" : word; };
  if (words.size() == 1) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": jobs of this grid have none"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": cannot become an axis, as jobs of this grid differ in it (", name(*words.begin()),
      ", ", name(*words.rbegin()), "); submit a sweep with the values wanted instead"));
}

void AddValues(const ParsedAxis& values, v1::Axis* axis) {
  for (const v1::JobConfig& value : values.values) {
    axis->add_values(JobFieldWord(value, values.field));
  }
}

// Drops what is there already.
absl::Status RemoveKnown(const v1::Axis& known, ParsedAxis* values) {
  absl::flat_hash_set<std::string> there;
  for (const std::string& word : known.values()) {
    v1::JobConfig value;
    if (auto status = SetJobField(known.field(), word, &value); !status.ok()) return status;
    there.insert(value.SerializeAsString());
  }
  auto& all = values->values;
  all.erase(std::remove_if(all.begin(), all.end(),
                           [&](const v1::JobConfig& value) {
                             return there.contains(value.SerializeAsString());
                           }),
            all.end());
  return absl::OkStatus();
}

absl::Status ExtendGrid(const v1::JobConfig& defaults, const ParsedGrid& extension,
                        v1::Grid* grid) {
  std::vector<ParsedAxis> others;
  for (ParsedAxis values : extension) {
    auto* const axes = grid->mutable_axes();
    const auto axis = std::find_if(axes->begin(), axes->end(), [&](const v1::Axis& candidate) {
      return candidate.field() == values.field;
    });
    if (axis == axes->end()) {
      others.push_back(std::move(values));
      continue;
    }
    if (auto status = RemoveKnown(*axis, &values); !status.ok()) return status;
    AddValues(values, &*axis);
  }
  if (others.empty()) return absl::OkStatus();
  // A default may depend on fields that were just extended.
  ParsedGrid parsed;
  if (!grid->axes().empty()) {
    auto read = ParseGrid(*grid);
    if (!read.ok()) return read.status();
    parsed = *std::move(read);
  }
  for (ParsedAxis& values : others) {
    auto value = ValueInGrid(defaults, parsed, values.field);
    if (!value.ok()) return value.status();
    v1::Axis* axis = grid->add_axes();
    axis->set_field(values.field);
    axis->add_values(*value);
    if (auto status = RemoveKnown(*axis, &values); !status.ok()) return status;
    AddValues(values, axis);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<v1::JobConfig>> ExpandSweep(const v1::SweepSpec& spec) {
  std::vector<v1::JobConfig> configs;
  absl::Status status = ExpandSweep(
      spec,
      [&configs](const v1::JobConfig& config, const JobKeys::Keys&) { configs.push_back(config); });
  if (!status.ok()) return status;
  return configs;
}

absl::Status ExpandSweep(const v1::SweepSpec& spec, const VisitConfig& visit) {
  if (auto status = CheckName(spec.name()); !status.ok()) return status;
  if (spec.grids_size() > kGridsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("grids: ", spec.grids_size(), " are too many; allowed: at most ", kGridsMax));
  }
  std::vector<ParsedGrid> grids;
  for (const v1::Grid& grid : spec.grids()) {
    auto parsed = ParseGrid(grid);
    if (!parsed.ok()) return WithPrefix(absl::StrCat("grid ", grids.size() + 1), parsed.status());
    grids.push_back(*std::move(parsed));
  }
  if (auto status = CheckPoints(grids); !status.ok()) return status;

  Collector collector(visit);
  if (grids.empty()) {
    if (auto status = collector.Add(spec.defaults()); !status.ok()) {
      return WithPrefix("defaults", status);
    }
  }
  for (size_t i = 0; i < grids.size(); ++i) {
    if (auto status = ExpandGrid(spec.defaults(), grids[i], &collector); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("grid ", i + 1, ", ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::SweepSpec> ExtendSpec(const v1::SweepSpec& spec,
                                         const std::vector<v1::Axis>& axes) {
  v1::Grid extension;
  extension.mutable_axes()->Assign(axes.begin(), axes.end());
  auto parsed = ParseGrid(extension);
  if (!parsed.ok()) return WithPrefix("extension", parsed.status());
  v1::SweepSpec extended = spec;
  if (extended.grids().empty()) extended.add_grids();
  for (int i = 0; i < extended.grids_size(); ++i) {
    const absl::Status status = ExtendGrid(spec.defaults(), *parsed, extended.mutable_grids(i));
    if (!status.ok()) return WithPrefix(absl::StrCat("grid ", i + 1), status);
  }
  return extended;
}

}  // namespace modlab
