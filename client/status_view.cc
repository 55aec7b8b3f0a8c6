#include "client/status_view.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/policy.h"
#include "client/table.h"
#include "client/text.h"
#include "client/waiting.h"
#include "modlab/v1/coordinator.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMicros = 1e6;

double SecondsUp(const v1::CoordinatorStatus& status) {
  return static_cast<double>(std::max<int64_t>(status.now_us() - status.started_us(), 0)) / kMicros;
}

std::string OrDash(std::string text) { return text.empty() ? "-" : text; }

std::string WaitingText(int64_t waiting, int64_t delayed) {
  return absl::StrCat(
      CountText(waiting),
      delayed > 0 ? absl::StrCat(" (", CountText(delayed), " after a failure)") : "");
}

bool Quarantined(const v1::Worker& worker, const v1::CoordinatorStatus& status) {
  return worker.quarantined_until_us() > status.now_us();
}

// "", "drains", "quarantined for 5m 00s: ...".
std::string WorkerState(const v1::Worker& worker, const v1::CoordinatorStatus& status) {
  std::vector<std::string> parts;
  if (worker.draining()) parts.emplace_back("drains");
  if (Quarantined(worker, status)) {
    const auto left = static_cast<double>(worker.quarantined_until_us() - status.now_us());
    parts.push_back(absl::StrCat("quarantined for ", DurationText(left / kMicros),
                                 worker.quarantine_reason().empty() ? "" : ": ",
                                 worker.quarantine_reason()));
  }
  return absl::StrJoin(parts, ", ");
}

int64_t BusySlots(const v1::Worker& worker) {
  return std::max<int64_t>(worker.slots() - worker.slots_idle(), 0);
}

void AddTable(const Table& table, std::vector<std::string>* lines) {
  std::string text = TableText(table);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    lines->emplace_back(std::string(line));
  }
}

void AddSweeps(const v1::CoordinatorStatus& status, std::vector<std::string>* lines) {
  if (status.sweeps().empty()) {
    lines->emplace_back("Nothing waits or runs.");
    return;
  }
  Table table;
  table.columns = {{"sweep"},         {"user"},        {"priority", true}, {"waiting", true},
                   {"running", true}, {"slots", true}, {"policy"}};
  for (const v1::SweepLoad& sweep : status.sweeps()) {
    v1::SweepPolicy rest = sweep.policy();
    rest.clear_priority();
    std::string policy = PolicyText(rest);
    if (sweep.waiting() > 0 && sweep.running() == 0 && !rest.paused() &&
        !SomeWorkerFits(rest.requirements(), status.workers(), status.now_us())) {
      absl::StrAppend(&policy, policy.empty() ? "" : ", ", "no worker fits");
    }
    table.rows.push_back({sweep.id(), OrDash(sweep.user()), absl::StrCat(sweep.policy().priority()),
                          WaitingText(sweep.waiting(), sweep.delayed()), CountText(sweep.running()),
                          CountText(sweep.slots()), OrDash(policy)});
  }
  AddTable(table, lines);
}

void AddWorkers(const v1::CoordinatorStatus& status, std::vector<std::string>* lines) {
  if (status.workers().empty()) {
    lines->emplace_back("No worker is connected.");
    return;
  }
  Table table;
  table.columns = {{"worker"},     {"device"},     {"busy", true}, {"jobs", true},
                   {"gang", true}, {"it/s", true}, {"state"}};
  for (const v1::Worker& worker : status.workers()) {
    // Jobs of one busy slot, on average, of so many that it may have.
    const int64_t busy = BusySlots(worker);
    const double gang = busy > 0 ? static_cast<double>(worker.jobs_held()) / busy : 0;
    table.rows.push_back(
        {worker.name(), OrDash(worker.device()), absl::StrCat(busy, "/", worker.slots()),
         CountText(worker.jobs_held()),
         absl::StrCat(NumberText(std::round(gang * 10) / 10), "/", worker.gang_size_max()),
         CountText(std::llround(worker.iterations_per_second())),
         OrDash(WorkerState(worker, status))});
  }
  AddTable(table, lines);
}

// "2024-05-01T12:00:03Z", or null.
Json TimeJson(int64_t us) {
  if (us == 0) return nullptr;
  return TimeText(us);
}

Json RequirementsJson(const v1::Requirements& requirements) {
  return {{"device", requirements.device()},
          {"memory_bytes", requirements.memory_bytes()},
          {"labels",
           std::vector<std::string>(requirements.labels().begin(), requirements.labels().end())}};
}

Json SweepJson(const v1::SweepLoad& sweep) {
  const v1::SweepPolicy& policy = sweep.policy();
  return {{"id", sweep.id()},
          {"user", sweep.user()},
          {"priority", policy.priority()},
          {"max_running", policy.max_running()},
          {"preempt", policy.preempt()},
          {"paused", policy.paused()},
          {"requires", RequirementsJson(policy.requirements())},
          {"waiting", sweep.waiting()},
          {"delayed", sweep.delayed()},
          {"running", sweep.running()},
          {"slots", sweep.slots()}};
}

Json WorkerJson(const v1::Worker& worker) {
  return {{"id", worker.id()},
          {"name", worker.name()},
          {"place", worker.place()},
          {"device", worker.device()},
          {"device_name", worker.device_name()},
          {"memory_bytes", worker.memory_bytes()},
          {"slot_memory_bytes", worker.slot_memory_bytes()},
          {"labels", std::vector<std::string>(worker.labels().begin(), worker.labels().end())},
          {"slots", worker.slots()},
          {"slots_idle", worker.slots_idle()},
          {"gang_size_max", worker.gang_size_max()},
          {"jobs_held", worker.jobs_held()},
          {"iterations_per_second", worker.iterations_per_second()},
          {"connected", TimeJson(worker.connected_us())},
          {"last_seen", TimeJson(worker.last_seen_us())},
          {"draining", worker.draining()},
          {"failures", worker.failures()},
          {"quarantined_until", TimeJson(worker.quarantined_until_us())},
          {"quarantine_reason", worker.quarantine_reason()}};
}

}  // namespace

std::vector<std::string> StatusLines(const v1::CoordinatorStatus& status,
                                     const std::string& place) {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat("modlab ", status.version(), " ", place, ", up ",
                               DurationText(SecondsUp(status))));
  lines.push_back(absl::StrCat("jobs      ", WaitingText(status.waiting(), status.delayed()),
                               " waiting, ", CountText(status.running()), " running"));
  lines.push_back(absl::StrCat(
      "a second  ", CountText(std::llround(status.iterations_per_second())), " iterations, ",
      NumberText(status.points_per_second()), " points, ", NumberText(status.jobs_per_second()),
      " jobs finished, ", NumberText(status.failures_per_second()), " attempts failed"));
  lines.push_back(absl::StrCat("store     ", BytesText(status.database_bytes()), " database, ",
                               BytesText(status.artifacts_bytes()), " artifacts, ",
                               BytesText(status.free_bytes()), " free"));
  if (!status.trouble().empty()) lines.push_back("TROUBLE   " + status.trouble());
  lines.emplace_back();
  AddSweeps(status, &lines);
  lines.emplace_back();
  AddWorkers(status, &lines);
  return lines;
}

std::string StatusJson(const v1::CoordinatorStatus& status) {
  auto sweeps = Json::array();
  for (const v1::SweepLoad& sweep : status.sweeps()) sweeps.push_back(SweepJson(sweep));
  auto workers = Json::array();
  for (const v1::Worker& worker : status.workers()) workers.push_back(WorkerJson(worker));
  const Json json = {{"version", status.version()},
                     {"started", TimeJson(status.started_us())},
                     {"now", TimeJson(status.now_us())},
                     {"waiting", status.waiting()},
                     {"delayed", status.delayed()},
                     {"running", status.running()},
                     {"jobs_per_second", status.jobs_per_second()},
                     {"points_per_second", status.points_per_second()},
                     {"failures_per_second", status.failures_per_second()},
                     {"iterations_per_second", status.iterations_per_second()},
                     {"database_bytes", status.database_bytes()},
                     {"artifacts_bytes", status.artifacts_bytes()},
                     {"free_bytes", status.free_bytes()},
                     {"trouble", status.trouble()},
                     {"sweeps", std::move(sweeps)},
                     {"workers", std::move(workers)}};
  // Broken UTF-8 in a name must not take the rest away.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> FitLines(std::vector<std::string> lines, int rows, int columns) {
  const size_t room = static_cast<size_t>(std::max(rows, 1));
  if (lines.size() > room) {
    const size_t left_out = lines.size() - (room - 1);
    lines.resize(room - 1);
    lines.push_back(absl::StrCat("... ", left_out, " more lines: `modlab top --once`"));
  }
  for (std::string& line : lines) line = CutText(line, columns);
  return lines;
}

}  // namespace modlab
