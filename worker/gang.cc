#include "worker/gang.h"

#include <cstddef>
#include <utility>

namespace modlab {

Gang::Gang(std::vector<v1::Lease> leases) : leases_(std::move(leases)), members_(leases_.size()) {}

void Gang::Drop(int member) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Member& state = members_[static_cast<size_t>(member)];
  if (state.dropped) return;
  state.dropped = true;
  if (state.trainer_index >= 0) trainer_->Drop(state.trainer_index);
}

bool Gang::dropped(int member) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return members_[static_cast<size_t>(member)].dropped;
}

void Gang::Attach(Trainer* trainer, const std::vector<int>& members) {
  const std::lock_guard<std::mutex> lock(mutex_);
  trainer_ = trainer;
  for (size_t i = 0; i < members.size(); ++i) {
    Member& state = members_[static_cast<size_t>(members[i])];
    state.trainer_index = static_cast<int>(i);
    // It may have been dropped while the trainer was being made.
    if (state.dropped) trainer_->Drop(state.trainer_index);
  }
}

void Gang::Detach() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Member& state : members_) {
    if (state.trainer_index < 0) continue;
    state.iteration = trainer_->progress().iteration;
    state.trainer_index = -1;
  }
  trainer_ = nullptr;
}

Gang::Progress Gang::progress(int member) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Member& state = members_[static_cast<size_t>(member)];
  if (state.trainer_index < 0) return {state.iteration, 0.0};
  return {trainer_->progress().iteration, trainer_->progress().iterations_per_second};
}

}  // namespace modlab
