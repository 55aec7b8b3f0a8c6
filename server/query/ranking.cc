#include "server/query/ranking.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/config/fields.h"
#include "lib/config/job_metrics.h"
#include "server/query/statistics.h"

namespace modlab {
namespace {

constexpr int kNamedMax = 1000;        // settings and variants
constexpr size_t kSeedsNamedMax = 10;  // of one model and setting, for one reason

std::string ModelName(v1::ModelType model) {
  return absl::AsciiStrToLower(v1::ModelType_Name(model));
}

}  // namespace

const std::set<std::string>& Ranking::OpenFields() {
  static const auto* const fields = [] {
    auto* names = new std::set<std::string>(FollowingFields({"model"}));
    names->insert({"model", "model_seed"});
    return names;
  }();
  return *fields;
}

Ranking::Ranking(GroupFields groups, v1::Checkpoint checkpoint)
    : group_fields_(std::move(groups)),
      checkpoint_(checkpoint),
      matching_({"model", "model_seed"}) {}

void Ranking::Add(const v1::Job& job) {
  const Matching::Place place = matching_.Add(job.config());
  if (place.base == members_.size()) members_.push_back(job.config());
  if (place.variant == variants_.size()) variants_.emplace_back();
  SeedJob& entry = variants_[place.variant][job.config().model()][job.config().model_seed()];
  entry.outcome = OutcomeOf(job, &entry);
  if (entry.outcome == Outcome::kFailed) ++failed_;
  if (entry.outcome == Outcome::kCancelled) ++cancelled_;
  gathered_ += 1 + static_cast<int64_t>(kMetrics.size());
}

Ranking::Outcome Ranking::OutcomeOf(const v1::Job& job, SeedJob* entry) const {
  if (job.state() == v1::FAILED) return Outcome::kFailed;
  if (job.state() == v1::CANCELLED) return Outcome::kCancelled;
  if (job.state() != v1::SUCCEEDED) return Outcome::kUnfinished;
  const MetricValues* metrics = JobMetrics(job, checkpoint_);
  if (metrics == nullptr) return Outcome::kWithoutBest;
  Outcome outcome = Outcome::kFinished;
  for (size_t i = 0; i < kMetrics.size(); ++i) {
    entry->values[i] = FindMetric(metrics, kMetrics[i]);
    if (!entry->values[i]) outcome = Outcome::kWithoutFigures;
  }
  return outcome;
}

void Ranking::Write(v1::RankModelsResponse* response) const {
  response->set_jobs_failed(failed_);
  response->set_jobs_cancelled(cancelled_);
  const std::vector<Setting> settings = TakeSettings(response);
  std::vector<Place> places = Order(settings);
  std::map<GroupKey, Group> groups;
  GroupKey key;
  for (Place& place : places) {
    group_fields_.ReadKey(ConfigNumbers(members_[place.setting->base]), &key);
    Group& group = groups[key];
    group.settings.push_back(place.setting);
    for (const auto& [model, jobs] : place.setting->entries) group.models.insert(model);
    place.group = &group;
  }
  for (const auto& [group_key, group] : groups) {
    const std::vector<std::string> words =
        group_fields_.Words(group_key, members_[group.settings.front()->base]);
    for (const Contest& contest : ContestsOf(group)) {
      for (size_t m = 0; m < kMetrics.size(); ++m) {
        WriteRow(words, contest, m, group.settings, response->add_rows());
      }
    }
  }
  WriteIncomplete(places, response);
}

std::vector<Ranking::Setting> Ranking::TakeSettings(v1::RankModelsResponse* response) const {
  std::vector<Setting> taken;
  std::map<std::pair<std::vector<std::string>, v1::ModelType>, int64_t> left_out;
  // Of the base at hand: the setting of the defaults.
  std::optional<Setting> defaults;
  for (const Matching::Setting& matched : matching_.Settings()) {
    Setting setting{matched.base, matched.choices, {}};
    for (const size_t variant : matched.variants) {
      for (const auto& [model, jobs] : variants_[variant]) setting.entries.emplace(model, &jobs);
    }
    if (setting.choices.empty()) {
      defaults = setting;
    } else if (defaults && defaults->base == setting.base) {
      const auto& among = defaults->entries;
      const bool is_variant =
          setting.entries.size() < among.size() &&
          std::all_of(setting.entries.begin(), setting.entries.end(),
                      [&](const auto& entry) { return among.count(entry.first) > 0; });
      if (is_variant) {
        for (const auto& [model, jobs] : setting.entries) {
          if (among.at(model) == jobs) continue;  // they vote there
          left_out[{setting.choices, model}] += static_cast<int64_t>(jobs->size());
        }
        continue;
      }
    }
    taken.push_back(std::move(setting));
  }
  std::vector<v1::LeftOutVariant> variants;
  for (const auto& [name, jobs] : left_out) {
    v1::LeftOutVariant variant;
    variant.set_model(name.second);
    variant.mutable_choices()->Assign(name.first.begin(), name.first.end());
    variant.set_jobs(jobs);
    variants.push_back(std::move(variant));
  }
  std::stable_sort(variants.begin(), variants.end(),
                   [](const auto& one, const auto& other) { return one.jobs() > other.jobs(); });
  if (variants.size() > kNamedMax) variants.resize(kNamedMax);
  response->mutable_left_out()->Assign(variants.begin(), variants.end());
  return taken;
}

std::vector<Ranking::Place> Ranking::Order(const std::vector<Setting>& settings) const {
  std::vector<Place> places;
  places.reserve(settings.size());
  for (const Setting& setting : settings) {
    Place place;
    setting_fields_.ReadKey(ConfigNumbers(members_[setting.base]), &place.key);
    place.setting = &setting;
    places.push_back(std::move(place));
  }
  std::sort(places.begin(), places.end(), [](const Place& one, const Place& other) {
    if (one.key != other.key) return one.key < other.key;
    return one.setting->choices < other.setting->choices;
  });
  return places;
}

std::vector<Ranking::Contest> Ranking::ContestsOf(const Group& group) {
  std::vector<Contest> contests = {{v1::ALL_MODELS, {group.models.begin(), group.models.end()}}};
  if (group.models.count(v1::MODULAR) > 0 && group.models.count(v1::MONOLITHIC) > 0) {
    contests.push_back({v1::MODULAR_AGAINST_MONOLITHIC, {v1::MONOLITHIC, v1::MODULAR}});
  }
  return contests;
}

std::vector<double> Ranking::VotesOf(const Setting& setting, const Contest& contest,
                                     size_t metric) {
  std::vector<const SeedJobs*> contestants;
  for (const v1::ModelType model : contest.models) {
    const auto entry = setting.entries.find(model);
    if (entry == setting.entries.end()) return {};
    contestants.push_back(entry->second);
  }
  const auto has = [metric](const SeedJobs* jobs, int64_t seed) {
    const auto at = jobs->find(seed);
    return at != jobs->end() && at->second.values[metric].has_value();
  };
  std::vector<std::vector<double>> values(contestants.size());
  for (const auto& [seed, unused] : *contestants.front()) {
    if (!std::all_of(contestants.begin(), contestants.end(),
                     [&, one = seed](const SeedJobs* jobs) { return has(jobs, one); })) {
      continue;
    }
    for (size_t i = 0; i < contestants.size(); ++i) {
      values[i].push_back(*contestants[i]->at(seed).values[metric]);
    }
  }
  if (values.front().empty()) return {};
  std::vector<double> means;
  for (std::vector<double>& of_model : values) means.push_back(Mean(std::move(of_model)));
  const double best = *std::min_element(means.begin(), means.end());
  const auto wins = [best](double mean) { return AreEqual(mean, best); };
  const auto winners = std::count_if(means.begin(), means.end(), wins);
  std::vector<double> votes;
  for (const double mean : means) {
    votes.push_back(wins(mean) ? 1.0 / static_cast<double>(winners) : 0.0);
  }
  return votes;
}

void Ranking::WriteRow(const std::vector<std::string>& words, const Contest& contest, size_t metric,
                       const std::vector<const Setting*>& settings, v1::RankRow* row) {
  Tally tally;
  tally.votes.resize(contest.models.size());
  for (const Setting* setting : settings) {
    const std::vector<double> votes = VotesOf(*setting, contest, metric);
    ++(votes.empty() ? tally.undecided : tally.settings);
    for (size_t i = 0; i < votes.size(); ++i) tally.votes[i] += votes[i];
  }
  row->mutable_group()->Assign(words.begin(), words.end());
  row->set_contest(contest.name);
  row->set_metric(kMetrics[metric]);
  for (size_t i = 0; i < tally.votes.size(); ++i) {
    v1::Votes* votes = row->add_votes();
    votes->set_model(contest.models[i]);
    votes->set_votes(tally.votes[i]);
  }
  row->set_settings(tally.settings);
  row->set_settings_undecided(tally.undecided);
}

// Other architectures have other defaults, which their name says already: so their
// settings are compared with their own kind.
std::vector<bool> Ranking::TellApart(const std::vector<Place>& places) const {
  std::vector<bool> apart(setting_fields_.names().size(), false);
  std::map<v1::Architecture, const GroupKey*> first;
  for (const Place& place : places) {
    const v1::Architecture architecture = members_[place.setting->base].architecture();
    const GroupKey& other = *first.try_emplace(architecture, &place.key).first->second;
    for (size_t i = 0; i < place.key.size(); ++i) {
      if (place.key[i] != other[i]) apart[i] = true;
    }
  }
  for (size_t i = 0; i < apart.size(); ++i) {
    if (setting_fields_.names()[i] == "architecture") apart[i] = first.size() > 1;
  }
  return apart;
}

std::string Ranking::MissingOf(const SeedJobs& jobs, const std::set<int64_t>& seeds) {
  constexpr std::pair<Outcome, const char*> kReasons[] = {
      {Outcome::kUnfinished, "not finished"},
      {Outcome::kFailed, "failed"},
      {Outcome::kCancelled, "cancelled"},
      {Outcome::kWithoutBest, "without a best checkpoint"},
      {Outcome::kWithoutFigures, "without figures"}};
  std::vector<std::string> parts;
  size_t total = 0;
  const auto add = [&](const std::vector<int64_t>& lacking, const char* reason) {
    if (lacking.empty()) return;
    total += lacking.size();
    const size_t named = std::min(lacking.size(), kSeedsNamedMax);
    const auto end = lacking.begin() + static_cast<std::ptrdiff_t>(named);
    std::string text = absl::StrJoin(lacking.begin(), end, ", ");
    if (named < lacking.size()) absl::StrAppend(&text, " and ", lacking.size() - named, " more");
    parts.push_back(absl::StrCat(text, " ", reason));
  };
  for (const auto& [outcome, reason] : kReasons) {
    std::vector<int64_t> lacking;
    for (const auto& [seed, job] : jobs) {
      if (job.outcome == outcome) lacking.push_back(seed);
    }
    add(lacking, reason);
  }
  std::vector<int64_t> never;
  for (const int64_t seed : seeds) {
    if (jobs.count(seed) == 0) never.push_back(seed);
  }
  add(never, "never asked for");
  if (total == 0) return "";
  return absl::StrCat("model seed", total == 1 ? " " : "s ", absl::StrJoin(parts, ", "));
}

std::vector<std::string> Ranking::Missing(const Setting& setting, const Contest& contest) {
  std::set<int64_t> seeds;
  for (const auto& [model, jobs] : setting.entries) {
    for (const auto& [seed, job] : *jobs) seeds.insert(seed);
  }
  std::vector<std::string> missing;
  for (const v1::ModelType model : contest.models) {
    const auto at = setting.entries.find(model);
    const std::string text =
        at == setting.entries.end() ? "no jobs" : MissingOf(*at->second, seeds);
    if (!text.empty()) missing.push_back(absl::StrCat(ModelName(model), ": ", text));
  }
  return missing;
}

void Ranking::WriteIncomplete(const std::vector<Place>& places,
                              v1::RankModelsResponse* response) const {
  const std::vector<bool> apart = TellApart(places);
  int64_t total = 0;
  for (const Place& place : places) {
    const Contest all_models = ContestsOf(*place.group).front();
    const std::vector<std::string> missing = Missing(*place.setting, all_models);
    if (missing.empty() || ++total > kNamedMax) continue;
    v1::IncompleteSetting* incomplete = response->add_incomplete();
    const std::vector<std::string> words =
        setting_fields_.Words(place.key, members_[place.setting->base]);
    for (size_t i = 0; i < words.size(); ++i) {
      if (!apart[i] || words[i].empty()) continue;
      incomplete->add_setting(absl::StrCat(setting_fields_.names()[i], "=", words[i]));
    }
    for (const std::string& choice : place.setting->choices) incomplete->add_setting(choice);
    incomplete->mutable_missing()->Assign(missing.begin(), missing.end());
    bool decided = true;
    for (size_t m = 0; m < kMetrics.size(); ++m) {
      decided = decided && !VotesOf(*place.setting, all_models, m).empty();
    }
    incomplete->set_decided(decided);
  }
  response->set_incomplete_total(total);
}

}  // namespace modlab
