#include "server/query/pairs_query.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/config/job_config.h"
#include "lib/config/job_metrics.h"
#include "lib/config/words.h"
#include "server/query/answer_limit.h"
#include "server/query/job_groups.h"
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
    const absl::Status known = CheckJobField(filter.field());
    if (!known.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": ", std::string(known.message())));
    }
    fields.insert(filter.field());
  }
  absl::StatusOr<JobFilter> filter = JobFilter::Parse({filters.begin(), filters.end()});
  if (!filter.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", std::string(filter.status().message())));
  }
  return Side{std::move(fields), *std::move(filter)};
}

struct Member {
  int64_t job = 0;  // 0: there is none
  v1::JobConfig config;
  std::optional<double> value;
};

using Pair = std::array<Member, 2>;

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

struct Group {
  const v1::JobConfig* member = nullptr;
  std::array<std::vector<double>, 2> values;  // pair by pair
  std::array<int64_t, 2> missing = {0, 0};
};

void WriteGroup(const std::vector<std::string>& words, const Group& group, v1::PairRow* row) {
  row->mutable_group()->Assign(words.begin(), words.end());
  std::vector<double> differences;
  for (size_t i = 0; i < group.values[kA].size(); ++i) {
    const double difference = group.values[kA][i] - group.values[kB][i];
    differences.push_back(difference);
    if (difference < 0) {
      row->set_a_lower(row->a_lower() + 1);
    } else if (difference > 0) {
      row->set_b_lower(row->b_lower() + 1);
    } else {
      row->set_equal(row->equal() + 1);
    }
  }
  *row->mutable_difference() = Summarise(std::move(differences));
  *row->mutable_a() = Summarise(group.values[kA]);
  *row->mutable_b() = Summarise(group.values[kB]);
  if (const std::optional<TTest> test = StudentsTest(row->difference())) {
    row->set_t(test->t);
    row->set_t_test_p(test->p);
  }
  if (const std::optional<double> p = SignTest(row->a_lower(), row->b_lower())) {
    row->set_sign_test_p(*p);
  }
  row->set_missing_a(group.missing[kA]);
  row->set_missing_b(group.missing[kB]);
}

// Gathers jobs pair by pair.
class Pairs {
 public:
  Pairs(Side a, Side b, GroupFields groups, v1::Metric metric, v1::Checkpoint checkpoint)
      : sides_{std::move(a), std::move(b)},
        groups_(std::move(groups)),
        metric_(metric),
        checkpoint_(checkpoint) {}

  absl::Status Add(const v1::Job& job) {
    const bool in_a = sides_[kA].filter.MatchesConfig(job.config());
    const bool in_b = sides_[kB].filter.MatchesConfig(job.config());
    if (!in_a && !in_b) return absl::OkStatus();
    if (in_a && in_b) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a and b: job ", job.id(), " is on both sides; they must exclude each other"));
    }
    const size_t side = in_a ? kA : kB;
    Member& member = pairs_[PairingKey(job.config(), sides_[kA].fields)][side];
    if (member.job != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "side ", kSideNames[side], " has several jobs for one pair: jobs ", member.job, " and ",
          job.id(), " differ in ", Differences(member.config, job.config()), "; filter more"));
    }
    member.job = job.id();
    member.config = job.config();
    if (job.state() == v1::SUCCEEDED) {
      member.value = FindMetric(JobMetrics(job, checkpoint_), metric_);
    }
    ++gathered_;
    return absl::OkStatus();
  }

  absl::Status Write(v1::ComparePairsResponse* response) const {
    std::map<GroupKey, Group> groups;
    GroupKey key;
    GroupKey other_key;
    for (const auto& [text, pair] : pairs_) {
      const bool has_both = pair[kA].job != 0 && pair[kB].job != 0;
      const Member& member = pair[pair[kA].job != 0 ? kA : kB];
      groups_.ReadKey(member.config, &key);
      if (has_both) {
        groups_.ReadKey(pair[kB].config, &other_key);
        if (key != other_key) return TornApart(pair);
      }
      Group& group = groups[key];
      group.member = &member.config;
      const bool is_pair = pair[kA].value.has_value() && pair[kB].value.has_value();
      for (const size_t side : {kA, kB}) {
        if (is_pair) group.values[side].push_back(*pair[side].value);
        if (!pair[side].value.has_value()) ++group.missing[side];
      }
    }
    for (const auto& [group_key, group] : groups) {
      WriteGroup(groups_.Words(group_key, *group.member), group, response->add_rows());
    }
    return absl::OkStatus();
  }

  int64_t gathered() const { return gathered_; }

 private:
  absl::Status TornApart(const Pair& pair) const {
    std::vector<std::string> fields;
    for (const std::string& name : groups_.names()) {
      if (JobFieldWord(pair[kA].config, name) != JobFieldWord(pair[kB].config, name)) {
        fields.push_back(name);
      }
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "group_by: the sides of a pair differ in ", absl::StrJoin(fields, ", "), " (jobs ",
        pair[kA].job, " and ", pair[kB].job, "), so it cannot tell groups of pairs"));
  }

  const std::array<Side, 2> sides_;
  const GroupFields groups_;
  const v1::Metric metric_;
  const v1::Checkpoint checkpoint_;
  std::unordered_map<std::string, Pair> pairs_;  // by PairingKey()
  int64_t gathered_ = 0;
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
  return Pairs(*std::move(a), *std::move(b), *std::move(groups), *metric, request.checkpoint());
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
  status = pairs->Write(&response);
  if (status.ok()) status = CheckAnswerSize(response);
  if (!status.ok()) return status;
  return response;
}

}  // namespace modlab
