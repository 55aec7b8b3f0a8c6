#include "tests/sim/network.h"

#include <algorithm>

namespace modlab {
namespace sim {

Network::~Network() {
  for (const std::weak_ptr<Wire>& weak : wires_) {
    if (const std::shared_ptr<Wire> wire = weak.lock(); wire != nullptr) wire->Forget();
  }
}

std::shared_ptr<Wire> Network::Connect(const std::string& host) {
  const auto wire = std::make_shared<Wire>(this, host);
  wires_.push_back(wire);
  return wire;
}

int64_t Network::Delay(const std::string& host) {
  ++counts_.messages;
  int64_t delay_us = random_.Between(100, 5'000);
  if (random_.Chance(weather_.very_late)) {
    ++counts_.late;
    delay_us = random_.Between(10'000'000, 300'000'000);
  } else if (random_.Chance(weather_.late)) {
    ++counts_.late;
    delay_us = random_.Between(100'000, 8'000'000);
  }
  const auto partition = partitions_.find(host);
  if (partition != partitions_.end() && partition->second > agenda_->now_us()) {
    ++counts_.held_up;
    delay_us += partition->second - agenda_->now_us();
  }
  return delay_us;
}

void Wire::Attach(End end, std::shared_ptr<Process> process,
                  std::function<void(absl::Status)> on_end) {
  sides_[end].process = std::move(process);
  sides_[end].on_end = std::move(on_end);
}

void Wire::Send(End from, std::function<void()> deliver) {
  if (broken_ || sides_[from].closed) return;
  Side& to = sides_[1 - from];
  Agenda* const agenda = network_->agenda();
  to.arrival_us = std::max(to.arrival_us, agenda->now_us() + network_->Delay(host_));
  agenda->After(to.arrival_us - agenda->now_us(),
                [self = shared_from_this(), from, deliver = std::move(deliver)] {
                  const Side& side = self->sides_[1 - from];
                  if (self->broken_ || side.closed || side.process == nullptr) return;
                  side.process->After(0, [self, from, deliver] {
                    if (!self->sides_[1 - from].closed) deliver();
                  });
                });
}

void Wire::Close(End from, const absl::Status& why) {
  if (sides_[from].closed) return;
  const End to = from == kWorker ? kCoordinator : kWorker;
  Send(from, [self = shared_from_this(), to, why] { self->TellEnd(to, 0, why); });
  sides_[from].closed = true;
  sides_[from].on_end = nullptr;
}

void Wire::Break(int64_t worker_hears_us, int64_t coordinator_hears_us) {
  if (broken_) return;
  broken_ = true;
  ++network_->counts()->streams_broken;
  const absl::Status why = absl::UnavailableError("the connection broke");
  if (worker_hears_us >= 0) TellEnd(kWorker, worker_hears_us, why);
  if (coordinator_hears_us >= 0) TellEnd(kCoordinator, coordinator_hears_us, why);
}

void Wire::Forget() {
  for (Side& side : sides_) side.on_end = nullptr;
}

void Wire::TellEnd(End end, int64_t delay_us, const absl::Status& why) {
  Side& side = sides_[end];
  if (side.process == nullptr) return;
  side.process->After(delay_us, [self = shared_from_this(), end, why] {
    Side& ended = self->sides_[end];
    if (ended.closed) return;
    ended.closed = true;
    if (ended.on_end != nullptr) std::exchange(ended.on_end, nullptr)(why);
  });
}

}  // namespace sim
}  // namespace modlab
