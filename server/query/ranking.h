// Votes of settings: gathers jobs, and counts.

#ifndef MODLAB_SERVER_QUERY_RANKING_H_
#define MODLAB_SERVER_QUERY_RANKING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "modlab/v1/results.pb.h"
#include "server/query/job_groups.h"
#include "server/query/matching.h"

namespace modlab {

// Not thread-safe.
class Ranking {
 public:
  static constexpr std::array<v1::Metric, 2> kMetrics = {v1::ID, v1::OOD};

  Ranking(GroupFields groups, v1::Checkpoint checkpoint);

  // The fields that votes cannot be grouped by: what a setting leaves open.
  static const std::set<std::string>& OpenFields();

  void Add(const v1::Job& job);
  // To be called once, after all jobs. Answers as results.proto says.
  void Write(v1::RankModelsResponse* response) const;
  // Numbers kept so far.
  int64_t gathered() const { return gathered_; }

 private:
  // How the job of one model seed came out.
  enum class Outcome { kFinished, kUnfinished, kFailed, kCancelled, kWithoutBest, kWithoutFigures };
  struct SeedJob {
    Outcome outcome = Outcome::kUnfinished;
    std::array<std::optional<double>, kMetrics.size()> values;
  };
  using SeedJobs = std::map<int64_t, SeedJob>;  // by model seed

  struct Setting {
    size_t base = 0;
    std::vector<std::string> choices;
    std::map<v1::ModelType, const SeedJobs*> entries;
  };
  struct Contest {
    v1::Contest name;
    std::vector<v1::ModelType> models;  // by number
  };
  struct Tally {
    std::vector<double> votes;  // by the place of the model in the contest
    int64_t settings = 0;
    int64_t undecided = 0;
  };
  struct Group {
    std::set<v1::ModelType> models;
    std::vector<const Setting*> settings;
  };
  // Settings by the values of their fields: the order in which they are named, and
  // in which fractions of votes are added up.
  struct Place {
    GroupKey key;
    const Setting* setting = nullptr;
    const Group* group = nullptr;
  };

  Outcome OutcomeOf(const v1::Job& job, SeedJob* entry) const;
  // Those that have a vote; the others' jobs are counted in the response.
  std::vector<Setting> TakeSettings(v1::RankModelsResponse* response) const;
  // `settings` by their fields.
  std::vector<Place> Order(const std::vector<Setting>& settings) const;
  // By the place of a field in setting_fields_: whether it tells settings apart.
  std::vector<bool> TellApart(const std::vector<Place>& places) const;

  static std::vector<Contest> ContestsOf(const Group& group);
  // What every contestant gets of one setting; empty where it is undecided.
  static std::vector<double> VotesOf(const Setting& setting, const Contest& contest, size_t metric);
  // What the contestants lack of the setting's model seeds.
  static std::vector<std::string> Missing(const Setting& setting, const Contest& contest);
  static std::string MissingOf(const SeedJobs& jobs, const std::set<int64_t>& seeds);
  static void WriteRow(const std::vector<std::string>& words, const Contest& contest, size_t metric,
                       const std::vector<const Setting*>& settings, v1::RankRow* row);
  void WriteIncomplete(const std::vector<Place>& places, v1::RankModelsResponse* response) const;

  const GroupFields group_fields_;
  const GroupFields setting_fields_ = GroupFields::AllBut(OpenFields());
  const v1::Checkpoint checkpoint_;
  Matching matching_;
  std::vector<v1::JobConfig> members_;                       // any job of a base
  std::vector<std::map<v1::ModelType, SeedJobs>> variants_;  // by their numbers
  int64_t failed_ = 0;
  int64_t cancelled_ = 0;
  int64_t gathered_ = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_RANKING_H_
