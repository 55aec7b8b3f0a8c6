// Changes of sweeps' policies as a hostile client might send them, while a worker trains: the
// text forms of UpdateSweepRequests, a blank line between two.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "lib/config/sweep_policy.h"
#include "modlab/v1/sweep.pb.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/ledger.h"
#include "server/engine/sweep_steps.h"
#include "server/engine/worker_steps.h"
#include "server/store/store.h"
#include "tests/fuzz/expect.h"
#include "tests/fuzz/quiet.h"
#include "tests/fuzz/scratch_store.h"

namespace {

namespace v1 = modlab::v1;
using google::protobuf::util::MessageDifferencer;

constexpr size_t kRequestsMax = 8;
constexpr int64_t kJobs = 6;
constexpr char kWorker[] = "0123456789abcdef0123456789abcdef";

// Sweeps s and t of four jobs each, two of them shared, and u, which was cancelled; an idle
// worker of two slots. Whatever is done to it is undone.
class Coordinator {
 public:
  Coordinator() {
    modlab::Store::Writer* const writer = store_.writer();
    MODLAB_EXPECT(writer->Begin().ok());
    for (const char* name : {"s", "t", "u"}) {
      v1::SweepSpec spec;
      spec.set_name(name);
      MODLAB_EXPECT(writer->InsertSweep(spec, {}, name, name, 1).ok());
    }
    for (int64_t job = 1; job <= kJobs; ++job) {
      MODLAB_EXPECT(store_.InsertJob(v1::MLP, v1::MODULAR, job % 2 == 0 ? 2 : 4, /*seed=*/job) ==
                    job);
      if (job <= 4) MODLAB_EXPECT(writer->LinkJob(1, job).ok());
      if (job >= 3) MODLAB_EXPECT(writer->LinkJob(2, job).ok());
    }
    MODLAB_EXPECT(writer->CancelSweep("u", 2).ok());
    MODLAB_EXPECT(writer->Commit().ok());
    ledger_ = std::make_unique<modlab::Ledger>(writer, modlab::Queue::Options());
    MODLAB_EXPECT(ledger_->Load(kNowUs).ok());
  }

  void Take(const std::vector<v1::UpdateSweepRequest>& requests) {
    const absl::Status undone = ledger_->Run(
        [&](modlab::Ledger* ledger, int64_t now_us) {
          Connect(ledger, now_us);
          for (const v1::UpdateSweepRequest& request : requests) {
            Take(request, ledger);
            MODLAB_EXPECT(modlab::GiveGangs(ledger, now_us).ok());
            CheckQueue(ledger);
          }
          return absl::AbortedError("once more");
        },
        kNowUs);
    MODLAB_EXPECT(absl::IsAborted(undone));
  }

 private:
  static constexpr int64_t kNowUs = 1'000'000;

  static void Connect(modlab::Ledger* ledger, int64_t now_us) {
    v1::WorkerView view;
    view.set_worker_id(kWorker);
    view.set_name("w");
    view.set_device("cpu");
    view.set_place("w/cpu");
    view.add_labels("a100");
    view.set_memory_bytes(int64_t{1} << 30);
    view.set_slots(2);
    view.set_slots_idle(2);
    view.set_gang_size_max(2);
    MODLAB_EXPECT(ledger->queue().UpdateWorker(view, now_us).ok());
  }

  static void Take(const v1::UpdateSweepRequest& request, modlab::Ledger* ledger) {
    const absl::Status status = modlab::UpdateSweep(request, ledger);
    if (!status.ok()) {
      MODLAB_EXPECT(absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                    absl::IsFailedPrecondition(status));
      return;
    }
    const auto sweep = (*ledger->Write())->FindActiveSweep(request.sweep());
    MODLAB_EXPECT(sweep.ok() && modlab::CheckPolicy(sweep->policy).ok());
    const v1::SweepPolicy& policy = sweep->policy;
    MODLAB_EXPECT(!request.has_priority() || policy.priority() == request.priority());
    MODLAB_EXPECT(!request.has_max_running() || policy.max_running() == request.max_running());
    MODLAB_EXPECT(!request.has_paused() || policy.paused() == request.paused());
    MODLAB_EXPECT(!request.has_preempt() || policy.preempt() == request.preempt());
    MODLAB_EXPECT(!request.has_requirements() ||
                  MessageDifferencer::Equals(policy.requirements(), request.requirements()));
  }

  // No job is lost or doubled, and the store has the policies that the queue follows.
  static void CheckQueue(modlab::Ledger* ledger) {
    const modlab::Queue::Totals totals = ledger->queue().totals();
    MODLAB_EXPECT(totals.waiting + totals.running == kJobs);
    int64_t waiting = 0, running = 0;
    for (const v1::SweepLoad& load : ledger->queue().ListLoads(10)) {
      waiting += load.waiting();
      running += load.running();
      const auto sweep = (*ledger->Write())->FindActiveSweep(load.id());
      MODLAB_EXPECT(sweep.ok() && MessageDifferencer::Equals(sweep->policy, load.policy()));
    }
    MODLAB_EXPECT(waiting == totals.waiting && running == totals.running);
    v1::CoordinatorView view;
    MODLAB_EXPECT(ledger->queue().FillGangs(kWorker, &view));
    int64_t leases = 0;
    for (const v1::Gang& gang : view.gangs()) leases += gang.leases_size();
    MODLAB_EXPECT(leases == running && view.gangs_size() <= 2);
  }

  modlab::ScratchStore store_;
  std::unique_ptr<modlab::Ledger> ledger_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  modlab::QuietProtobuf();
  static Coordinator coordinator;
  const std::string input(reinterpret_cast<const char*>(data), size);
  std::vector<v1::UpdateSweepRequest> requests;
  const std::vector<std::string> texts = absl::StrSplit(input, "\n\n");
  for (const std::string& text : texts) {
    v1::UpdateSweepRequest request;
    if (requests.size() == kRequestsMax) break;
    if (google::protobuf::TextFormat::ParseFromString(text, &request)) requests.push_back(request);
  }
  if (!requests.empty()) coordinator.Take(requests);
  return 0;
}
