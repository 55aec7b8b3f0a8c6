// Remembers everything that the coordinator acknowledged, and looks whether it is
// true, at once and ever after.
//
// What is looked at, and when:
//   each view that leaves      a new lease is on disk, is one worker's alone, and follows
//                              the policy; what is acknowledged is on disk
//   each turn of the engine    limits and fairness; now and then the queue against the store
//   each start                 all that was ever seen on disk is still there
//   the end                    everything, see final_check.h

#ifndef MODLAB_TESTS_SIM_WITNESS_H_
#define MODLAB_TESTS_SIM_WITNESS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "modlab/v1/sweep.pb.h"
#include "modlab/v1/worker.pb.h"
#include "tests/sim/coordinator.h"
#include "tests/sim/facts.h"
#include "tests/sim/policy_check.h"
#include "tests/sim/random.h"

namespace modlab {
namespace sim {

class Witness : public Observer {
 public:
  using Trace = std::function<void(const std::string&)>;

  // `trace` is told what happens; may be null.
  Witness(uint64_t seed, Trace trace) : trace_(std::move(trace)), random_(seed) {}
  // Before anything happens.
  void set_coordinator(Coordinator* coordinator) { coordinator_ = coordinator; }
  void set_places_are_avoided(bool avoided) { places_are_avoided_ = avoided; }

  // What was first found to be wrong; "" if nothing was.
  const std::string& verdict() const { return verdict_; }
  void Accuse(const std::string& what);
  void Say(const std::string& line) const {
    if (trace_ != nullptr) trace_(line);
  }
  bool tracing() const { return trace_ != nullptr; }

  void OnRestart(bool power_was_cut) override {
    Say(power_was_cut ? "the coordinator starts after a power cut" : "the coordinator starts");
  }
  void OnStart() override;
  void OnView(const v1::WorkerView& view) override;
  void OnSend(const std::string& worker_id, const v1::CoordinatorView& view) override;
  void OnTurn(bool by_users) override;

  // -- what users were told ------------------------------------------------------------

  // A sweep is there, made by this request, with these jobs at least.
  void OnCreated(const std::string& request_id, const std::string& sweep_id);
  void OnSweepChanged(const std::string& sweep_id) { LookAtSweep(sweep_id); }
  // This worker is to drain.
  void OnDrainRequested(const std::string& worker_id) { to_drain_.insert(worker_id); }
  // A request may remove this sweep, or may change its policy, from now on.
  void MayPrune(const std::string& sweep_id) { prunable_.insert(sweep_id); }
  void MayChangePolicy(const std::string& sweep_id) { ++policy_changes_[sweep_id]; }

  // Looks at every sweep and every job.
  void LookAtAll();
  const std::map<int64_t, JobFacts>& jobs() const { return jobs_; }
  const std::map<std::string, v1::Sweep>& sweeps() const { return sweeps_; }
  const Undisturbed& UndisturbedRun(const v1::Job& job);
  // A sweep that is not cancelled asks for it.
  bool IsWanted(int64_t job_id) const;

 private:
  struct Heard {
    std::map<uint64_t, v1::Report> reports;  // not acknowledged yet
    uint64_t acknowledged = 0;
  };

  // Reads, compares with what was known, and remembers. False: it is not there, or
  // cannot be read at present.
  bool LookAtJob(int64_t job_id);
  void LookAtSweep(const std::string& sweep_id);
  void Judge(const v1::Report& report);
  void CheckLease(const std::string& worker_id, const v1::Lease& lease);
  // In this turn.
  bool GaveLeases() const;
  // Some jobs may, so that what waits need not be what a worker could take.
  bool JobsAvoidPlaces() const;
  void CompareQueueWithStore();
  bool MayBeGone(int64_t job_id) const;

  const Trace trace_;
  Coordinator* coordinator_ = nullptr;
  Random random_;
  std::string verdict_;

  std::map<int64_t, JobFacts> jobs_;
  std::map<std::string, v1::Sweep> sweeps_;
  std::map<std::string, std::set<int64_t>> sweep_jobs_;
  std::map<std::string, std::string> requests_;  // their sweeps
  std::set<std::string> prunable_;
  std::set<std::string> to_drain_;                  // worker ids
  std::map<std::string, int> policy_changes_;       // that were asked for
  std::map<std::string, int> policies_seen_;        // of those when the sweep was looked at
  std::map<std::string, Undisturbed> undisturbed_;  // by job key

  std::map<std::string, Heard> heard_;                                // by worker id
  std::map<std::pair<int64_t, int32_t>, std::string> lease_holders_;  // worker ids
  PolicyCheck policy_;
  bool places_are_avoided_ = false;  // by jobs that were forced
  int64_t started_us_ = 0;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_WITNESS_H_
