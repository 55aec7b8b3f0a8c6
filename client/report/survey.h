// What jobs a report has before it: their states and why they failed, where they
// ran, and which of them stand for the others.
//
// Not thread-safe. Memory grows with the number of jobs that have an alignment,
// 16 bytes each.

#ifndef MODLAB_CLIENT_REPORT_SURVEY_H_
#define MODLAB_CLIENT_REPORT_SURVEY_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "modlab/v1/job.pb.h"

namespace modlab {

class Survey {
 public:
  struct Failures {
    int64_t jobs = 0;
    // One of them.
    int64_t job = 0;
    std::string message;
  };
  // The job with the median alignment of those of one kind.
  struct Median {
    v1::Architecture architecture = v1::ARCHITECTURE_UNSPECIFIED;
    v1::Target target = v1::TARGET_UNSPECIFIED;
    v1::ModelType model = v1::MODEL_TYPE_UNSPECIFIED;
    int rules = 0;
    int64_t job = 0;
    double alignment = 0;
    int64_t jobs = 0;  // of its kind
  };

  // Alignments are those of `checkpoint`.
  explicit Survey(v1::Checkpoint checkpoint) : checkpoint_(checkpoint) {}

  void Add(const v1::Job& job);

  // Jobs by state; those without are not there.
  const std::map<v1::JobState, int64_t>& states() const { return states_; }
  int64_t jobs() const;
  int64_t finished() const;
  // Finished jobs that kept no best checkpoint, where the report is about that.
  int64_t without_best() const { return without_best_; }
  // Of jobs that ended FAILED.
  const std::map<v1::FailureCause, Failures>& failures() const { return failures_; }
  // Of finished jobs.
  const std::set<v1::Architecture>& architectures() const { return architectures_; }
  // When the last job finished, 0 if none did.
  int64_t last_finished_us() const { return last_finished_us_; }
  // "cpu (AMD EPYC), modlab 0.1.0, LibTorch 1.13.0, OpenBLAS": how many results
  // come from there.
  const std::map<std::string, int64_t>& provenances() const { return provenances_; }

  // For each architecture, target and modular model type, at its largest number of
  // rules that is at most 32; the lower of two in the middle, of equals the first.
  std::vector<Median> Medians() const;

 private:
  using Kind = std::tuple<v1::Architecture, v1::Target, v1::ModelType>;
  struct Candidates {
    int rules = 0;
    std::vector<std::pair<double, int64_t>> jobs;  // alignment, number
  };

  const v1::Checkpoint checkpoint_;
  std::map<v1::JobState, int64_t> states_;
  int64_t without_best_ = 0;
  std::map<v1::FailureCause, Failures> failures_;
  std::set<v1::Architecture> architectures_;
  int64_t last_finished_us_ = 0;
  std::map<std::string, int64_t> provenances_;
  std::map<Kind, Candidates> candidates_;
};

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_SURVEY_H_
