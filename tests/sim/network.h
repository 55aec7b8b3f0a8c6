// The network between the coordinator and everybody else: what is sent comes late,
// or not at all.
//
// A stream keeps the order of its messages and loses none, until it breaks; then
// what is under way is lost, and each end hears of it later, or never. Streams of one
// worker are independent: what an old one still carries may come after what a new
// one brought. A call of its own (an RPC) may be lost on its way, come twice, or be
// answered into the void. A partition holds up everything from and to a host.
//
// All on one thread.

#ifndef MODLAB_TESTS_SIM_NETWORK_H_
#define MODLAB_TESTS_SIM_NETWORK_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/sim/agenda.h"
#include "tests/sim/random.h"

namespace modlab {
namespace sim {

class Wire;

class Network {
 public:
  struct Weather {
    double late = 0.0;       // chance of a message to take seconds rather than milliseconds
    double very_late = 0.0;  // minutes
    double lost = 0.0;       // of a call, on either way
    double doubled = 0.0;    // of a call
  };
  struct Counts {
    int64_t messages = 0;
    int64_t late = 0;
    int64_t calls_lost = 0;
    int64_t calls_doubled = 0;
    int64_t streams_broken = 0;
    int64_t held_up = 0;  // by partitions
  };

  Network(Agenda* agenda, uint64_t seed) : agenda_(agenda), random_(seed) {}
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  void set_weather(const Weather& weather) { weather_ = weather; }
  // Nothing gets through from or to the host before this time.
  void Partition(const std::string& host, int64_t until_us) { partitions_[host] = until_us; }
  void HealPartitions() { partitions_.clear(); }
  Agenda* agenda() { return agenda_; }
  Counts* counts() { return &counts_; }

  // Until a message that is sent now arrives.
  int64_t Delay(const std::string& host);

  // A new stream of the worker of this host.
  std::shared_ptr<Wire> Connect(const std::string& host);
  // Calls `request` in `server`, with where to put the answer, and waits for that;
  // UNAVAILABLE where none came, though the request may have been heard. Called by a
  // fiber of `caller`. `server` may be null.
  template <typename T>
  absl::StatusOr<T> Call(Process* caller, const std::string& host,
                         const std::shared_ptr<Process>& server,
                         std::function<void(std::function<void(absl::StatusOr<T>)>)> request);

 private:
  static constexpr int64_t kCallTimeoutUs = 30'000'000;

  Agenda* const agenda_;
  Random random_;
  Weather weather_;
  Counts counts_;
  std::map<std::string, int64_t> partitions_;
  std::vector<std::weak_ptr<Wire>> wires_;
};

// Both directions of a stream between a worker and the coordinator.
class Wire : public std::enable_shared_from_this<Wire> {
 public:
  enum End { kWorker = 0, kCoordinator = 1 };

  Wire(Network* network, std::string host) : network_(network), host_(std::move(host)) {}

  // Who lives at the end, and what it does when it hears that the stream is over.
  void Attach(End end, std::shared_ptr<Process> process, std::function<void(absl::Status)> on_end);
  // `deliver` happens at the other end, after all that was sent before.
  void Send(End from, std::function<void()> deliver);
  // This end is done with the stream. The other hears of it after what was sent.
  void Close(End from, const absl::Status& why);
  // The stream breaks: what is under way is lost. Each end hears of it after its
  // delay; never, where that is negative.
  void Break(int64_t worker_hears_us, int64_t coordinator_hears_us);
  bool broken() const { return broken_; }
  // Nobody lives at the ends any more. Who waits for the end of a stream owns the stream
  // and is owned by it, and some never hear of it.
  void Forget();

 private:
  struct Side {
    std::shared_ptr<Process> process;
    std::function<void(absl::Status)> on_end;
    int64_t arrival_us = 0;  // of the last message to it
    bool closed = false;
  };

  void TellEnd(End end, int64_t delay_us, const absl::Status& why);

  Network* const network_;
  const std::string host_;
  std::array<Side, 2> sides_;
  bool broken_ = false;
};

// -- details -------------------------------------------------------------------------

template <typename T>
absl::StatusOr<T> Network::Call(
    Process* caller, const std::string& host, const std::shared_ptr<Process>& server,
    std::function<void(std::function<void(absl::StatusOr<T>)>)> request) {
  struct Waiting {
    Fiber* fiber;
    std::optional<absl::StatusOr<T>> answer;
  };
  const absl::Status no_answer = absl::UnavailableError("no answer");
  if (!caller->alive()) return no_answer;
  if (server == nullptr || !server->alive()) {
    caller->Sleep(Delay(host));
    return no_answer;
  }
  const auto waiting = std::make_shared<Waiting>(Waiting{Fiber::Current(), std::nullopt});
  const std::shared_ptr<Process> caller_process = caller->shared_from_this();
  const auto answer = [this, waiting, caller_process, host](absl::StatusOr<T> result) {
    if (random_.Chance(weather_.lost)) {
      ++counts_.calls_lost;
      return;
    }
    caller_process->After(Delay(host), [waiting, caller_process, result = std::move(result)] {
      if (waiting->answer.has_value() || waiting->fiber == nullptr) return;
      waiting->answer = result;
      caller_process->Wake(waiting->fiber);
    });
  };
  if (random_.Chance(weather_.lost)) {
    ++counts_.calls_lost;
  } else {
    server->After(Delay(host), [request, answer] { request(answer); });
  }
  if (random_.Chance(weather_.doubled)) {
    ++counts_.calls_doubled;
    const int64_t delay_us = Delay(host);
    server->After(delay_us + random_.Between(0, 60'000'000),
                  [request] { request([](const absl::StatusOr<T>&) {}); });
  }
  const int64_t deadline_us = agenda_->now_us() + kCallTimeoutUs;
  while (!waiting->answer.has_value() && agenda_->now_us() < deadline_us) {
    if (!caller->Wait(deadline_us - agenda_->now_us())) break;
  }
  waiting->fiber = nullptr;
  return waiting->answer.value_or(no_answer);
}

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_NETWORK_H_
