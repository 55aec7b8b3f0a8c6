#include "tests/sim/users.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/engine/store_steps.h"
#include "server/engine/sweep_plan.h"
#include "server/engine/sweep_steps.h"
#include "server/engine/worker_steps.h"

namespace modlab {
namespace sim {

namespace {

// Worth asking again.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsInternal(status) || absl::IsAborted(status);
}

template <typename T>
absl::StatusOr<std::string> Text(const absl::StatusOr<T>& result) {
  if (!result.ok()) return result.status();
  return std::string("done");
}

}  // namespace

Users::Users(Agenda* agenda, Network* network, Coordinator* coordinator, Witness* witness,
             uint64_t seed, const Options& options)
    : network_(network),
      coordinator_(coordinator),
      witness_(witness),
      options_(options),
      random_(seed),
      process_(std::make_shared<Process>(agenda, "users")) {}

Users::~Users() { process_->Kill(); }

void Users::Start() {
  for (int user = 0; user < options_.count; ++user) {
    process_->Spawn([this, user] { Live(user); });
  }
}

void Users::Live(int user) {
  ++busy_;
  Submit(user);
  while (!calm_) {
    if (!process_->Sleep(random_.Between(options_.pause_us / 8, 2 * options_.pause_us))) break;
    if (calm_) break;
    DoSomething(user);
  }
  --busy_;
}

// -- calls --------------------------------------------------------------------------------

absl::StatusOr<std::string> Users::Ask(
    int user, const std::function<absl::StatusOr<std::string>(Ledger*, int64_t)>& step,
    bool reads_store) {
  ++calls_;
  return network_->Call<std::string>(
      process_.get(), absl::StrCat("user-", user), coordinator_->process(),
      [this, step, reads_store](const std::function<void(absl::StatusOr<std::string>)>& answer) {
        const auto result = std::make_shared<absl::StatusOr<std::string>>();
        coordinator_->Post(
            [step, result](Ledger* ledger, int64_t now_us) {
              *result = step(ledger, now_us);
              return result->status();
            },
            reads_store,
            [result, answer](const absl::Status& status) {
              if (status.ok()) {
                answer(*result);
              } else {
                answer(status);
              }
            });
      });
}

absl::StatusOr<std::string> Users::Insist(
    int user, const std::string& what,
    const std::function<absl::StatusOr<std::string>(Ledger*, int64_t)>& step, bool reads_store) {
  for (;;) {
    absl::StatusOr<std::string> answer = Ask(user, step, reads_store);
    if (witness_->tracing()) {
      witness_->Say(absl::StrCat("user ", user, ": ", what, ": ",
                                 answer.ok() ? *answer : answer.status().ToString()));
    }
    if (answer.ok() || !MayPass(answer.status())) return answer;
    if (!process_->Sleep(random_.Between(200'000, 5'000'000))) return answer;
  }
}

// -- what they do ---------------------------------------------------------------------------

v1::SweepSpec Users::RandomSpec() {
  v1::SweepSpec spec;
  spec.set_name(random_.Chance(0.5) ? "a" : "b");
  v1::JobConfig* config = spec.mutable_defaults();
  config->set_architecture(v1::MLP);
  config->set_target(v1::REGRESSION);
  config->set_model(v1::MONOLITHIC);
  config->set_rules(static_cast<int32_t>(random_.Between(2, 3)));
  config->set_iterations(random_.Chance(0.5) ? 40 : 100);
  config->set_eval_interval(config->iterations() == 40 ? 15 : 20);
  config->set_data_seed(random_.Between(0, 2));
  v1::Axis* axis = spec.add_grids()->add_axes();
  axis->set_field("model_seed");
  const int64_t first = random_.Between(0, 6);
  const int64_t count = random_.Between(1, 6);
  for (int64_t value = first; value < first + count; ++value) {
    axis->add_values(absl::StrCat(value));
  }
  if (random_.Chance(0.3)) {
    axis = spec.mutable_grids(0)->add_axes();
    axis->set_field("learning_rate");
    axis->add_values("0.001");
    axis->add_values("0.0001");
  }
  return spec;
}

v1::SweepPolicy Users::RandomPolicy() {
  v1::SweepPolicy policy;
  if (random_.Chance(0.4)) policy.set_priority(static_cast<int32_t>(random_.Between(-1, 2)));
  if (random_.Chance(0.3)) policy.set_max_running(static_cast<int32_t>(random_.Between(1, 4)));
  policy.set_preempt(random_.Chance(0.3));
  policy.set_paused(random_.Chance(0.1));
  if (random_.Chance(0.15)) policy.mutable_requirements()->add_labels("big");
  return policy;
}

void Users::Submit(int user) {
  if (submitted_ >= options_.sweeps_max) return;
  ++submitted_;
  v1::CreateSweepRequest request;
  *request.mutable_spec() = RandomSpec();
  *request.mutable_policy() = RandomPolicy();
  request.set_request_id(absl::StrCat("request-", ++next_request_));
  request.set_force(random_.Chance(0.15));
  request.set_avoid_earlier_workers(request.force() && options_.avoid_places);
  request.set_user(absl::StrCat("user-", user));
  const absl::StatusOr<SweepPlan> plan = PlanSweep(request);
  if (!plan.ok()) {
    witness_->Accuse(absl::StrCat("the sweep was refused: ", plan.status().ToString()));
    return;
  }
  const auto create = [plan = *plan](Ledger* ledger,
                                     int64_t now_us) -> absl::StatusOr<std::string> {
    const absl::StatusOr<CreatedSweep> created = CreateSweep(plan, ledger, now_us);
    if (!created.ok()) return created.status();
    return created->sweep_id;
  };
  const std::string what = absl::StrCat("submit ", request.request_id());
  // Now and then someone sends it once more, though it was answered.
  for (int again = random_.Chance(0.2) ? 2 : 1; again > 0; --again) {
    const absl::StatusOr<std::string> sweep = Insist(user, what, create, false);
    if (!process_->alive()) return;
    if (!sweep.ok()) {
      witness_->Accuse(absl::StrCat(what, ": ", sweep.status().ToString()));
      return;
    }
    sweeps_.insert(*sweep);
    if (coordinator_->running()) witness_->OnCreated(request.request_id(), *sweep);
  }
}

void Users::Extend(int user, const std::string& sweep) {
  v1::ExtendSweepRequest request;
  request.set_sweep(sweep);
  v1::Axis* axis = request.add_axes();
  axis->set_field("model_seed");
  axis->add_values(absl::StrCat(random_.Between(0, 15)));
  // Read and changed in one turn, as the service does under its lock.
  Insist(
      user, absl::StrCat("extend ", sweep),
      [this, request](Ledger* ledger, int64_t now_us) -> absl::StatusOr<std::string> {
        absl::StatusOr<v1::Sweep> now = coordinator_->store()->GetSweep(request.sweep());
        if (!now.ok()) return now.status();
        absl::StatusOr<ExtensionPlan> plan = PlanExtension(*now, request);
        if (!plan.ok()) return plan.status();
        return Text(ExtendSweep(*plan, ledger, now_us));
      },
      true)
      .IgnoreError();
}

void Users::Update(int user, const std::string& sweep) {
  v1::UpdateSweepRequest request;
  request.set_sweep(sweep);
  switch (random_.Below(5)) {
    case 0:
      request.set_paused(true);
      break;
    case 1:
      request.set_paused(false);
      break;
    case 2:
      request.set_priority(static_cast<int32_t>(random_.Between(-1, 2)));
      break;
    case 3:
      request.set_max_running(static_cast<int32_t>(random_.Between(0, 4)));
      break;
    default:
      request.set_preempt(random_.Chance(0.5));
  }
  Insist(
      user, absl::StrCat("update ", request.ShortDebugString()),
      [this, request](Ledger* ledger, int64_t) -> absl::StatusOr<std::string> {
        witness_->MayChangePolicy(request.sweep());
        const absl::Status status = UpdateSweep(request, ledger);
        if (!status.ok()) return status;
        return std::string("done");
      },
      false)
      .IgnoreError();
}

void Users::Retry(int user, const std::string& sweep, const std::vector<int64_t>& jobs) {
  v1::RetryJobsRequest request;
  request.set_sweep(sweep);
  if (!jobs.empty()) {
    v1::FieldFilter* filter = request.add_filters();
    filter->set_field("job");
    for (const int64_t job : jobs) filter->add_values(absl::StrCat(job));
  }
  Insist(
      user, absl::StrCat("retry ", request.ShortDebugString()),
      [this, request](Ledger* ledger, int64_t now_us) -> absl::StatusOr<std::string> {
        const absl::StatusOr<ChosenJobs> chosen = ChooseJobs(request, coordinator_->store());
        if (!chosen.ok()) return chosen.status();
        return Text(RetryJobs(*chosen, ledger, now_us));
      },
      true)
      .IgnoreError();
}

void Users::DoSomething(int user) {
  if (sweeps_.empty() || random_.Chance(0.25)) {
    Submit(user);
    return;
  }
  if (!options_.change_minds) return;
  const std::string sweep = random_.Pick(std::vector<std::string>(sweeps_.begin(), sweeps_.end()));
  const std::string worker = random_.Pick(options_.workers);
  switch (random_.Below(9)) {
    case 0:
    case 1:
      Extend(user, sweep);
      break;
    case 2:
    case 3:
      Update(user, sweep);
      break;
    case 4:
      if (!random_.Chance(0.4)) break;
      Insist(
          user, "cancel " + sweep,
          [sweep](Ledger* ledger, int64_t now_us) {
            return Text(CancelSweep(sweep, /*jobs_max=*/1, ledger, now_us));
          },
          false)
          .IgnoreError();
      break;
    case 5: {
      v1::CancelJobsRequest request;
      request.set_sweep(sweep);
      v1::FieldFilter* filter = request.add_filters();
      filter->set_field("model_seed");
      filter->add_values(absl::StrCat(random_.Between(0, 9)));
      Insist(
          user, "cancel jobs of " + sweep,
          [this, request](Ledger* ledger, int64_t now_us) -> absl::StatusOr<std::string> {
            const absl::StatusOr<ChosenJobs> chosen = ChooseJobs(request, coordinator_->store());
            if (!chosen.ok()) return chosen.status();
            return Text(CancelJobs(*chosen, ledger, now_us));
          },
          true)
          .IgnoreError();
      break;
    }
    case 6:
      Retry(user, sweep, {});
      break;
    case 7: {
      if (!random_.Chance(0.3)) break;
      v1::PruneRequest request;
      request.set_sweep(sweep);
      request.set_dry_run(random_.Chance(0.3));
      if (!request.dry_run()) witness_->MayPrune(sweep);
      const absl::StatusOr<std::string> answer = Insist(
          user, "prune " + sweep,
          [request](Ledger* ledger, int64_t now_us) {
            return Text(Prune(request, ledger, now_us));
          },
          false);
      if (answer.ok() && !request.dry_run()) sweeps_.erase(sweep);
      break;
    }
    default: {
      const bool drains = random_.Chance(0.5);
      const absl::StatusOr<std::string> id = Insist(
          user, (drains ? "drain " : "release ") + worker,
          [worker, drains](Ledger* ledger, int64_t now_us) -> absl::StatusOr<std::string> {
            const absl::StatusOr<v1::Worker> known = drains ? DrainWorker(worker, ledger, now_us)
                                                            : ledger->queue().ReleaseWorker(worker);
            if (!known.ok()) return known.status();
            return known->id();
          },
          false);
      if (drains && id.ok()) witness_->OnDrainRequested(*id);
    }
  }
  if (coordinator_->running() && sweeps_.count(sweep) != 0) witness_->OnSweepChanged(sweep);
}

void Users::CleanUp() {
  process_->Spawn([this] {
    ++busy_;
    for (const std::string& worker : options_.workers) {
      Ask(
          0,
          [worker](Ledger* ledger, int64_t) { return Text(ledger->queue().ReleaseWorker(worker)); },
          false)
          .IgnoreError();
    }
    for (const auto& [id, sweep] : std::map<std::string, v1::Sweep>(witness_->sweeps())) {
      if (sweep.cancelled_us() != 0) continue;
      v1::UpdateSweepRequest request;
      request.set_sweep(id);
      request.set_paused(false);
      request.set_max_running(0);
      Insist(
          0, "resume " + id,
          [this, request](Ledger* ledger, int64_t) -> absl::StatusOr<std::string> {
            witness_->MayChangePolicy(request.sweep());
            const absl::Status status = UpdateSweep(request, ledger);
            if (!status.ok()) return status;
            return std::string("done");
          },
          false)
          .IgnoreError();
      std::vector<int64_t> innocent;
      for (const auto& [job_id, facts] : witness_->jobs()) {
        if (facts.job.state() == v1::FAILED &&
            witness_->UndisturbedRun(facts.job).fate == Fate::kFinishes) {
          innocent.push_back(job_id);
        }
      }
      if (!innocent.empty()) Retry(0, id, innocent);
    }
    --busy_;
  });
}

}  // namespace sim
}  // namespace modlab
