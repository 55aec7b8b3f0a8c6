#include "server/query/pairs_query.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/config/job_metrics.h"
#include "lib/config/words.h"
#include "server/query/answer_limit.h"
#include "server/query/job_groups.h"
#include "server/query/matching.h"
#include "server/query/question.h"
#include "server/query/statistics.h"
#include "server/store/job_filter.h"

namespace modlab {
namespace {

using Filters = google::protobuf::RepeatedPtrField<v1::FieldFilter>;

constexpr size_t kA = 0;
constexpr size_t kB = 1;
constexpr const char* kSideNames[] = {"a", "b"};

// What a side says: which fields it names, and which jobs are its.
struct Side {
  std::set<std::string> fields;
  JobFilter filter;
};

absl::StatusOr<Side> ParseSide(const char* name, const Filters& filters) {
  if (filters.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": required, a filter such as model=modular"));
  }
  std::set<std::string> fields;
  for (const v1::FieldFilter& filter : filters) {
    const absl::Status known = CheckJobField(filter.field(), name);
    if (!known.ok()) return known;
    if (!fields.insert(filter.field()).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": \"", filter.field(), "\" stands there twice; name its values once, as ",
          filter.field(), "=", absl::StrJoin(filter.values(), ","), ",..."));
    }
  }
  absl::StatusOr<JobFilter> filter = JobFilter::Parse({filters.begin(), filters.end()});
  if (!filter.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", std::string(filter.status().message())));
  }
  return Side{std::move(fields), *std::move(filter)};
}

// Why a job has no value.
enum class Lack { kNothing, kResult, kMetric, kBest };

struct Group {
  v1::JobConfig member;  // any job of it
  std::set<v1::Target> targets;
  // By its setting, or one by one: values of both sides.
  std::map<std::pair<size_t, int64_t>, std::array<std::vector<double>, 2>> pairs;
  std::array<int64_t, 2> missing = {0, 0};
  std::array<int64_t, 2> without_metric = {0, 0};
  std::array<int64_t, 2> without_best = {0, 0};
};

struct Member {
  int64_t job = 0;
  size_t side = kA;
  size_t variant = 0;
  int64_t model_seed = 0;
  Group* group = nullptr;
  Lack lack = Lack::kNothing;
  double value = 0;
};

// "model (modular and gt_modular), scorer (joint and none)".
std::string Differences(const v1::JobConfig& left, const v1::JobConfig& right) {
  std::vector<std::string> parts;
  for (const std::string& field : JobFieldNames()) {
    const std::string a = JobFieldWord(left, field);
    const std::string b = JobFieldWord(right, field);
    if (a == b) continue;
    parts.push_back(
        absl::StrCat(field, " (", a.empty() ? "none" : a, " and ", b.empty() ? "none" : b, ")"));
  }
  return parts.empty() ? "their replicate alone" : absl::StrJoin(parts, ", ");
}

void WriteGroup(const std::vector<std::string>& words, const Group& group, v1::PairRow* row) {
  row->mutable_group()->Assign(words.begin(), words.end());
  std::array<std::vector<double>, 2> sides;
  std::vector<double> differences;
  double magnitude = 0;
  for (const auto& [unit, pairs] : group.pairs) {
    const double a = Mean(pairs[kA]);
    const double b = Mean(pairs[kB]);
    sides[kA].push_back(a);
    sides[kB].push_back(b);
    magnitude = std::max({magnitude, std::abs(a), std::abs(b)});
    if (AreEqual(a, b)) {
      row->set_equal(row->equal() + 1);
    } else if (a < b) {
      row->set_a_lower(row->a_lower() + 1);
    } else {
      row->set_b_lower(row->b_lower() + 1);
    }
    differences.push_back(AreEqual(a, b) ? 0 : a - b);
  }
  *row->mutable_difference() = Summarise(std::move(differences));
  *row->mutable_a() = Summarise(std::move(sides[kA]));
  *row->mutable_b() = Summarise(std::move(sides[kB]));
  if (const std::optional<TTest> test = StudentsTest(row->difference(), magnitude)) {
    row->set_t(test->t);
    row->set_t_test_p(test->p);
  }
  if (const std::optional<double> p = SignTest(row->a_lower(), row->b_lower())) {
    row->set_sign_test_p(*p);
  }
  row->set_missing_a(group.missing[kA]);
  row->set_missing_b(group.missing[kB]);
  row->set_without_metric_a(group.without_metric[kA]);
  row->set_without_metric_b(group.without_metric[kB]);
  row->set_without_best_a(group.without_best[kA]);
  row->set_without_best_b(group.without_best[kB]);
}

std::set<std::string> With(std::set<std::string> fields, const char* field) {
  fields.insert(field);
  return fields;
}

// Gathers jobs pair by pair.
class Pairs {
 public:
  Pairs(Side a, Side b, GroupFields groups, v1::Metric metric,
        const v1::ComparePairsRequest& request)
      : sides_{std::move(a), std::move(b)},
        group_fields_(std::move(groups)),
        metric_(metric),
        checkpoint_(request.checkpoint()),
        average_(request.average_model_seeds()),
        matching_(With(sides_[kA].fields, "model_seed")) {}

  absl::Status Add(const v1::Job& job) {
    const ConfigNumbers config(job.config());
    const bool in_a = sides_[kA].filter.MatchesConfig(config);
    const bool in_b = sides_[kB].filter.MatchesConfig(config);
    if (!in_a && !in_b) return absl::OkStatus();
    if (in_a && in_b) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a and b: job ", job.id(), " is on both sides; they must exclude each other"));
    }
    Member member;
    member.job = job.id();
    member.side = in_a ? kA : kB;
    member.variant = matching_.Add(job.config()).variant;
    // What the sides name tells no pairs apart.
    if (sides_[kA].fields.count("model_seed") == 0) member.model_seed = job.config().model_seed();
    group_fields_.ReadKey(ConfigNumbers(job.config()), &key_);
    const auto [group, is_new] = groups_.try_emplace(key_);
    if (is_new) group->second.member = job.config();
    member.group = &group->second;
    const MetricValues* metrics = JobMetrics(job, checkpoint_);
    const std::optional<double> value = FindMetric(metrics, metric_);
    if (value) {
      member.value = *value;
    } else if (job.state() != v1::SUCCEEDED) {
      member.lack = Lack::kResult;
    } else {
      member.lack = metrics == nullptr ? Lack::kBest : Lack::kMetric;
    }
    group->second.targets.insert(job.config().target());
    members_.push_back(member);
    return absl::OkStatus();
  }

  // To be called once, after all jobs. `config_of` reads a job's.
  absl::Status Write(const std::function<absl::StatusOr<v1::JobConfig>(int64_t)>& config_of,
                     v1::ComparePairsResponse* response) {
    // The one of a variant's settings with the fewest choices: its defaults first.
    std::vector<size_t> setting_of(members_.size());
    const std::vector<Matching::Setting> settings = matching_.Settings();
    for (size_t i = settings.size(); i-- > 0;) {
      for (const size_t variant : settings[i].variants) setting_of[variant] = i;
    }
    std::map<std::pair<size_t, int64_t>, std::array<const Member*, 2>> pairs;
    for (const Member& member : members_) {
      const Member*& place = pairs[{setting_of[member.variant], member.model_seed}][member.side];
      if (place != nullptr) return SeveralJobs(*place, member, config_of);
      place = &member;
    }
    for (const auto& [name, pair] : pairs) {
      const absl::Status status = AddPair(name, pair, config_of);
      if (!status.ok()) return status;
    }
    for (const auto& [key, group] : groups_) {
      if (IsInUnitsOfTarget(metric_) && group.targets.size() > 1) {
        return absl::InvalidArgumentError(absl::StrCat(
            "group_by: ", MetricName(metric_),
            " is measured in other units for regression than for classification, and a group has "
            "both; group by target, or filter, as target=regression"));
      }
      WriteGroup(group_fields_.Words(key, group.member), group, response->add_rows());
    }
    return absl::OkStatus();
  }

  int64_t gathered() const { return static_cast<int64_t>(members_.size()); }

 private:
  using ConfigOf = std::function<absl::StatusOr<v1::JobConfig>(int64_t)>;

  absl::Status AddPair(const std::pair<size_t, int64_t>& name,
                       const std::array<const Member*, 2>& pair, const ConfigOf& config_of) {
    const bool has_both = pair[kA] != nullptr && pair[kB] != nullptr;
    if (has_both && pair[kA]->group != pair[kB]->group) return TornApart(pair, config_of);
    Group& group = *pair[pair[kA] != nullptr ? kA : kB]->group;
    const auto has_value = [&](size_t side) {
      return pair[side] != nullptr && pair[side]->lack == Lack::kNothing;
    };
    if (has_value(kA) && has_value(kB)) {
      auto& values = group.pairs[average_ ? std::make_pair(name.first, int64_t{0}) : name];
      for (const size_t side : {kA, kB}) values[side].push_back(pair[side]->value);
      return absl::OkStatus();
    }
    for (const size_t side : {kA, kB}) {
      if (has_value(side)) continue;
      ++group.missing[side];
      if (pair[side] == nullptr) continue;
      if (pair[side]->lack == Lack::kMetric) ++group.without_metric[side];
      if (pair[side]->lack == Lack::kBest) ++group.without_best[side];
    }
    return absl::OkStatus();
  }

  static absl::Status SeveralJobs(const Member& one, const Member& other,
                                  const ConfigOf& config_of) {
    const absl::StatusOr<v1::JobConfig> first = config_of(one.job);
    if (!first.ok()) return first.status();
    const absl::StatusOr<v1::JobConfig> second = config_of(other.job);
    if (!second.ok()) return second.status();
    return absl::InvalidArgumentError(absl::StrCat(
        "side ", kSideNames[one.side], " has several jobs for one pair: jobs ", one.job, " and ",
        other.job, " differ in ", Differences(*first, *second), "; filter more"));
  }

  absl::Status TornApart(const std::array<const Member*, 2>& pair,
                         const ConfigOf& config_of) const {
    const absl::StatusOr<v1::JobConfig> a = config_of(pair[kA]->job);
    if (!a.ok()) return a.status();
    const absl::StatusOr<v1::JobConfig> b = config_of(pair[kB]->job);
    if (!b.ok()) return b.status();
    std::vector<std::string> fields;
    for (const std::string& name : group_fields_.names()) {
      if (JobFieldWord(*a, name) != JobFieldWord(*b, name)) fields.push_back(name);
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "group_by: the sides of a pair differ in ", absl::StrJoin(fields, ", "), " (jobs ",
        pair[kA]->job, " and ", pair[kB]->job, "), so it cannot tell groups of pairs"));
  }

  const std::array<Side, 2> sides_;
  const GroupFields group_fields_;
  const v1::Metric metric_;
  const v1::Checkpoint checkpoint_;
  const bool average_;
  Matching matching_;
  std::vector<Member> members_;
  std::map<GroupKey, Group> groups_;
  GroupKey key_;
};

absl::StatusOr<Pairs> ParseQuestion(const v1::ComparePairsRequest& request) {
  absl::Status status = CheckSweepGiven(request.sweep());
  if (status.ok()) status = CheckCheckpoint(request.checkpoint());
  if (!status.ok()) return status;
  if (request.metric().empty()) {
    return absl::InvalidArgumentError("metric: required, \"ood\" say");
  }
  const absl::StatusOr<v1::Metric> metric = ParseFinalMetric(request.metric());
  if (!metric.ok()) return metric.status();
  absl::StatusOr<Side> a = ParseSide("a", request.a());
  if (!a.ok()) return a.status();
  absl::StatusOr<Side> b = ParseSide("b", request.b());
  if (!b.ok()) return b.status();
  if (a->fields != b->fields) {
    return absl::InvalidArgumentError(absl::StrCat("a and b: must name the same fields; a names ",
                                                   absl::StrJoin(a->fields, ", "), " and b names ",
                                                   absl::StrJoin(b->fields, ", ")));
  }
  absl::StatusOr<GroupFields> groups = GroupFields::Parse(request.group_by());
  if (!groups.ok()) return groups.status();
  for (const std::string& name : groups->names()) {
    if (a->fields.count(name) == 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("group_by: \"", name, "\" is what a and b tell apart; group by others"));
  }
  return Pairs(*std::move(a), *std::move(b), *std::move(groups), *metric, request);
}

}  // namespace

absl::StatusOr<v1::ComparePairsResponse> ComparePairs(Store* store,
                                                      const v1::ComparePairsRequest& request) {
  absl::StatusOr<Pairs> pairs = ParseQuestion(request);
  if (!pairs.ok()) return pairs.status();
  absl::Status added;
  absl::Status status =
      store->ScanJobs(request.sweep(), {request.filters().begin(), request.filters().end()}, 0,
                      [&](const v1::Job& job) {
                        added = pairs->Add(job);
                        return added.ok() && pairs->gathered() <= kGatheredValuesMax;
                      });
  if (status.ok()) status = added;
  if (status.ok()) status = CheckGathered(pairs->gathered());
  if (!status.ok()) return status;

  v1::ComparePairsResponse response;
  const auto config_of = [store](int64_t id) -> absl::StatusOr<v1::JobConfig> {
    absl::StatusOr<v1::Job> job = store->GetJob(id);
    if (!job.ok()) return job.status();
    return job->config();
  };
  status = pairs->Write(config_of, &response);
  if (status.ok()) status = CheckAnswerSize(response);
  if (!status.ok()) return status;
  return response;
}

}  // namespace modlab
