#include "server/query/rank_query.h"

#include <algorithm>
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
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/config/job_config.h"
#include "lib/config/job_metrics.h"
#include "server/query/answer_limit.h"
#include "server/query/job_groups.h"
#include "server/query/question.h"
#include "server/query/statistics.h"

namespace modlab {
namespace {

constexpr std::array<v1::Metric, 2> kMetrics = {v1::ID, v1::OOD};
constexpr int kIncompleteMax = 1000;

// What a setting leaves open: the model, its seeds, and what differs with it.
const std::set<std::string>& LeftOut() {
  static const auto* const fields =
      new std::set<std::string>{"model", "model_seed", "modules", "scorer", "heads"};
  return *fields;
}

// One model type's jobs of one setting.
struct Entry {
  int64_t jobs = 0;
  int64_t finished = 0;
  int64_t with_figures = 0;
  std::array<std::vector<double>, kMetrics.size()> values;
};

struct Setting {
  v1::JobConfig member;  // any job of it
  std::map<v1::ModelType, Entry> entries;
};

struct Contest {
  v1::Contest name;
  std::vector<v1::ModelType> models;  // by number
};

// What every contestant gets of one setting; empty where it is undecided.
std::vector<double> VotesOf(const Setting& setting, const Contest& contest, size_t metric) {
  std::vector<double> means;
  for (const v1::ModelType model : contest.models) {
    const auto entry = setting.entries.find(model);
    if (entry == setting.entries.end() || entry->second.values[metric].empty()) return {};
    means.push_back(Mean(entry->second.values[metric]));
  }
  const double best = *std::min_element(means.begin(), means.end());
  const auto winners = std::count(means.begin(), means.end(), best);
  std::vector<double> votes;
  for (const double mean : means) {
    votes.push_back(mean == best ? 1.0 / static_cast<double>(winners) : 0.0);
  }
  return votes;
}

struct Tally {
  std::vector<double> votes;  // by the place of the model in the contest
  int64_t settings = 0;
  int64_t undecided = 0;
};

class Ranking {
 public:
  Ranking(GroupFields groups, v1::Checkpoint checkpoint)
      : group_fields_(std::move(groups)), checkpoint_(checkpoint) {}

  void Add(const v1::Job& job) {
    const auto [at, is_new] = settings_.try_emplace(PairingKey(job.config(), LeftOut()));
    Setting& setting = at->second;
    if (is_new) setting.member = job.config();
    models_.insert(job.config().model());
    Entry& entry = setting.entries[job.config().model()];
    ++entry.jobs;
    ++gathered_;
    if (job.state() != v1::SUCCEEDED) return;
    ++entry.finished;
    const MetricValues* metrics = JobMetrics(job, checkpoint_);
    if (metrics == nullptr) return;
    ++entry.with_figures;
    for (size_t i = 0; i < kMetrics.size(); ++i) {
      const std::optional<double> value = FindMetric(metrics, kMetrics[i]);
      if (value) entry.values[i].push_back(*value);
    }
    gathered_ += static_cast<int64_t>(kMetrics.size());
  }

  // To be called once, after all jobs.
  void Write(v1::RankModelsResponse* response) const {
    const std::vector<Contest> contests = Contests();
    const std::multimap<GroupKey, const Setting*> ordered = Ordered();
    WriteRows(ordered, contests, response);
    WriteIncomplete(ordered, contests.front(), response);
  }

  int64_t gathered() const { return gathered_; }

 private:
  struct Group {
    const Setting* member = nullptr;
    std::vector<std::array<Tally, kMetrics.size()>> tallies;  // contest by contest
  };

  std::vector<Contest> Contests() const {
    std::vector<Contest> contests = {{v1::ALL_MODELS, {models_.begin(), models_.end()}}};
    if (models_.count(v1::MODULAR) > 0 && models_.count(v1::MONOLITHIC) > 0) {
      contests.push_back({v1::MODULAR_AGAINST_MONOLITHIC, {v1::MONOLITHIC, v1::MODULAR}});
    }
    return contests;
  }

  // Settings by the values of their fields: the order in which they are named,
  // and in which fractions of votes are added up.
  std::multimap<GroupKey, const Setting*> Ordered() const {
    std::multimap<GroupKey, const Setting*> ordered;
    GroupKey key;
    for (const auto& [text, setting] : settings_) {
      setting_fields_.ReadKey(setting.member, &key);
      ordered.emplace(key, &setting);
    }
    return ordered;
  }

  void WriteRows(const std::multimap<GroupKey, const Setting*>& ordered,
                 const std::vector<Contest>& contests, v1::RankModelsResponse* response) const {
    std::map<GroupKey, Group> groups;
    GroupKey key;
    for (const auto& [setting_key, setting] : ordered) {
      group_fields_.ReadKey(setting->member, &key);
      Group& group = groups[key];
      group.member = setting;
      group.tallies.resize(contests.size());
      for (size_t c = 0; c < contests.size(); ++c) {
        for (size_t m = 0; m < kMetrics.size(); ++m) {
          Tally& tally = group.tallies[c][m];
          tally.votes.resize(contests[c].models.size());
          const std::vector<double> votes = VotesOf(*setting, contests[c], m);
          ++(votes.empty() ? tally.undecided : tally.settings);
          for (size_t i = 0; i < votes.size(); ++i) tally.votes[i] += votes[i];
        }
      }
    }
    for (const auto& [group_key, group] : groups) {
      const std::vector<std::string> words = group_fields_.Words(group_key, group.member->member);
      for (size_t c = 0; c < contests.size(); ++c) {
        for (size_t m = 0; m < kMetrics.size(); ++m) {
          const Tally& tally = group.tallies[c][m];
          v1::RankRow* row = response->add_rows();
          row->mutable_group()->Assign(words.begin(), words.end());
          row->set_contest(contests[c].name);
          row->set_metric(kMetrics[m]);
          for (size_t i = 0; i < tally.votes.size(); ++i) {
            v1::Votes* votes = row->add_votes();
            votes->set_model(contests[c].models[i]);
            votes->set_votes(tally.votes[i]);
          }
          row->set_settings(tally.settings);
          row->set_settings_undecided(tally.undecided);
        }
      }
    }
  }

  // By the place of a field in setting_fields_: whether it tells settings apart.
  // Other architectures have other defaults, which their name says already: so
  // their settings are compared with their own kind.
  std::vector<bool> TellApart(const std::multimap<GroupKey, const Setting*>& ordered) const {
    std::vector<bool> apart(setting_fields_.names().size(), false);
    std::map<v1::Architecture, const GroupKey*> first;
    for (const auto& [key, setting] : ordered) {
      const GroupKey& other =
          *first.try_emplace(setting->member.architecture(), &key).first->second;
      for (size_t i = 0; i < key.size(); ++i) {
        if (key[i] != other[i]) apart[i] = true;
      }
    }
    for (size_t i = 0; i < apart.size(); ++i) {
      if (setting_fields_.names()[i] == "architecture") apart[i] = first.size() > 1;
    }
    return apart;
  }

  // What lacks in the setting for all contestants to have all their jobs.
  static std::vector<std::string> Missing(const Setting& setting, const Contest& contest) {
    std::vector<std::string> missing;
    for (const v1::ModelType model : contest.models) {
      const std::string name = absl::AsciiStrToLower(v1::ModelType_Name(model));
      const auto at = setting.entries.find(model);
      if (at == setting.entries.end()) {
        missing.push_back(absl::StrCat(name, ": no jobs"));
        continue;
      }
      const Entry& entry = at->second;
      if (entry.finished < entry.jobs) {
        missing.push_back(absl::StrCat(name, ": ", entry.jobs - entry.finished, " of ", entry.jobs,
                                       " model seeds not finished"));
      }
      if (entry.with_figures < entry.finished) {
        missing.push_back(absl::StrCat(name, ": ", entry.finished - entry.with_figures, " of ",
                                       entry.jobs, " model seeds without a best checkpoint"));
      }
    }
    return missing;
  }

  void WriteIncomplete(const std::multimap<GroupKey, const Setting*>& ordered,
                       const Contest& all_models, v1::RankModelsResponse* response) const {
    const std::vector<bool> apart = TellApart(ordered);
    int64_t total = 0;
    for (const auto& [key, setting] : ordered) {
      const std::vector<std::string> missing = Missing(*setting, all_models);
      if (missing.empty() || ++total > kIncompleteMax) continue;
      v1::IncompleteSetting* incomplete = response->add_incomplete();
      const std::vector<std::string> words = setting_fields_.Words(key, setting->member);
      for (size_t i = 0; i < words.size(); ++i) {
        if (!apart[i] || words[i].empty()) continue;
        incomplete->add_setting(absl::StrCat(setting_fields_.names()[i], "=", words[i]));
      }
      incomplete->mutable_missing()->Assign(missing.begin(), missing.end());
      bool decided = true;
      for (size_t m = 0; m < kMetrics.size(); ++m) {
        decided = decided && !VotesOf(*setting, all_models, m).empty();
      }
      incomplete->set_decided(decided);
    }
    response->set_incomplete_total(total);
  }

  const GroupFields group_fields_;
  const GroupFields setting_fields_ = GroupFields::AllBut(LeftOut());
  const v1::Checkpoint checkpoint_;
  std::unordered_map<std::string, Setting> settings_;  // by PairingKey()
  std::set<v1::ModelType> models_;                     // of all jobs, finished or not
  int64_t gathered_ = 0;
};

}  // namespace

absl::StatusOr<v1::RankModelsResponse> RankModels(Store* store,
                                                  const v1::RankModelsRequest& request) {
  absl::Status status = CheckSweepGiven(request.sweep());
  if (status.ok()) status = CheckCheckpoint(request.checkpoint());
  if (!status.ok()) return status;
  absl::StatusOr<GroupFields> fields = GroupFields::Parse(request.group_by());
  if (!fields.ok()) return fields.status();
  for (const std::string& name : fields->names()) {
    if (LeftOut().count(name) == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat("group_by: \"", name,
                                                   "\" is not what a setting has; not allowed are ",
                                                   absl::StrJoin(LeftOut(), ", ")));
  }

  Ranking ranking(*std::move(fields), request.checkpoint());
  status = store->ScanJobs(request.sweep(), {request.filters().begin(), request.filters().end()}, 0,
                           [&](const v1::Job& job) {
                             ranking.Add(job);
                             return ranking.gathered() <= kGatheredValuesMax;
                           });
  if (status.ok()) status = CheckGathered(ranking.gathered());
  if (!status.ok()) return status;

  v1::RankModelsResponse response;
  ranking.Write(&response);
  status = CheckAnswerSize(response);
  if (!status.ok()) return status;
  return response;
}

}  // namespace modlab
