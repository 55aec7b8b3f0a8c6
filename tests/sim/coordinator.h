// modlabd on its machine: the real EngineCore over the real store, on a simulated
// disk, behind a simulated network; and whoever starts it again when it has died.
//
// All on one thread.

#ifndef MODLAB_TESTS_SIM_COORDINATOR_H_
#define MODLAB_TESTS_SIM_COORDINATOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/command.h"
#include "server/engine/engine_core.h"
#include "server/engine/faulty_writer.h"
#include "server/store/store.h"
#include "tests/sim/agenda.h"
#include "tests/sim/artifacts.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/random.h"
#include "tests/sim/vfs.h"

namespace modlab {
namespace sim {

// Whoever watches what the coordinator says and does.
class Observer {
 public:
  virtual ~Observer() = default;
  // It is started, after its end or after a power cut.
  virtual void OnRestart(bool power_was_cut) = 0;
  // It came up, and has said nothing yet.
  virtual void OnStart() = 0;
  virtual void OnView(const v1::WorkerView& view) = 0;
  // From here on it may reach the worker.
  virtual void OnSend(const std::string& worker_id, const v1::CoordinatorView& view) = 0;
  // After each turn of the engine that it survived. `by_users`: users changed
  // something in it.
  virtual void OnTurn(bool by_users) = 0;
};

class Coordinator {
 public:
  static constexpr char kDataDir[] = "/sim";

  struct Counts {
    int64_t starts = 0;
    int64_t turns = 0;
    int64_t orderly_stops = 0;
  };

  // What is broken on purpose, to see that it is noticed.
  struct Sabotage {
    // Its disk says that it synced, and did not.
    bool forgets_syncs = false;
    // What workers say is changed on its way to the engine.
    std::function<void(v1::WorkerView*)> view;
    // The engine answers, and what it answered is on disk a turn later.
    bool commits_late = false;
    // Whoever once had a job may still say what becomes of it.
    bool takes_old_reports = false;
    // Workers that are lost are never missed.
    bool leases_never_end = false;
    // Workers that get nowhere are let do so.
    bool leases_never_stall = false;
    // Uploads are named before they are registered.
    bool names_before_registering = false;
  };

  Coordinator(Agenda* agenda, uint64_t seed, const EngineCore::Options& options, Observer* observer,
              Sabotage sabotage);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // -- its life --------------------------------------------------------------------

  void Start();
  // Its disk crashed in the last thing that happened: it is dead, and will be
  // started again.
  void NoticeCrash();
  void Crash(bool power_is_cut);
  // SIGTERM, and started again.
  void Restart();
  // It stands still for so long.
  void StandStill(int64_t duration_us);
  // Its clock is set when it starts the next time.
  void set_clock_offset_us(int64_t offset_us) { next_clock_offset_us_ = offset_us; }

  bool running() const { return core_ != nullptr; }
  // Null while it is down.
  const std::shared_ptr<Process>& process() const { return process_; }
  Disk* disk() { return &disk_; }
  Store* store() { return store_.get(); }
  const Artifacts& artifacts() const { return *artifacts_; }
  const Counts& counts() const { return counts_; }
  int64_t clock_us() const;

  // -- services; in its process --------------------------------------------------------

  // Runs a step, and gives `done` its status once that is settled.
  void Post(Ledger::Step step, bool reads_store, std::function<void(absl::Status)> done);
  void Upload(std::string content, std::function<void(absl::StatusOr<std::string>)> done);
  absl::StatusOr<std::string> Download(const std::string& sha256) const;
  // A new stream of a worker: where its views go.
  std::function<void(v1::WorkerView)> Accept(
      const std::shared_ptr<Wire>& wire, std::function<void(const v1::CoordinatorView&)> to_worker);

  // Looks at the queue, between turns. False where that cannot be.
  bool Inspect(const std::function<void(Queue*)>& look);

 private:
  class Channel;

  void Enqueue(Command command);
  void Turn();
  void Tick();
  void Die(int64_t down_us);

  Agenda* const agenda_;
  const EngineCore::Options options_;
  Observer* const observer_;
  const Sabotage sabotage_;
  Random random_;
  Disk disk_;
  Vfs vfs_;
  Counts counts_;
  int64_t clock_offset_us_ = 0;
  int64_t next_clock_offset_us_ = 0;
  bool power_is_cut_ = false;

  // Of this life.
  std::shared_ptr<Process> process_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<FaultyWriter> late_writer_;  // where commits are late
  std::unique_ptr<Artifacts> artifacts_;
  std::unique_ptr<EngineCore> core_;
  std::deque<Command> inbox_;
  std::vector<std::weak_ptr<Wire>> wires_;
  bool turn_is_due_ = false;
  bool users_wrote_ = false;
  int64_t last_turn_us_ = 0;
  int64_t expire_from_us_ = 0;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_COORDINATOR_H_
