#include "worker/gang.h"

#include <cstddef>
#include <utility>

namespace modlab {

Gang::Gang(std::vector<v1::Lease> leases) : leases_(std::move(leases)), members_(leases_.size()) {
  for (size_t i = 0; i < leases_.size(); ++i) {
    members_[i].checkpoint = leases_[i].checkpoint();
    members_[i].iteration = leases_[i].checkpoint().iteration();
  }
}

void Gang::Drop(int member) {
  const MutexLock lock(&mutex_);
  Member& state = at(member);
  if (state.dropped) return;
  state.dropped = true;
  if (state.trainer_index < 0) return;
  trainer_->Drop(state.trainer_index);
  // Its mates go on, it does not.
  state.iteration = trainer_->progress().iteration;
  state.trainer_index = -1;
}

bool Gang::dropped(int member) const {
  const MutexLock lock(&mutex_);
  return at(member).dropped;
}

void Gang::Release(int member) {
  const MutexLock lock(&mutex_);
  Member& state = at(member);
  if (state.releasing) return;
  state.releasing = true;
  if (state.trainer_index >= 0) trainer_->RequestCheckpoints();
}

bool Gang::releasing(int member) const {
  const MutexLock lock(&mutex_);
  return at(member).releasing;
}

void Gang::RequestCheckpoints() {
  const MutexLock lock(&mutex_);
  if (trainer_ != nullptr) trainer_->RequestCheckpoints();
}

v1::TrainingCheckpoint Gang::checkpoint(int member) const {
  const MutexLock lock(&mutex_);
  return at(member).checkpoint;
}

void Gang::SetCheckpoint(int member, const v1::TrainingCheckpoint& checkpoint) {
  const MutexLock lock(&mutex_);
  at(member).checkpoint = checkpoint;
}

void Gang::Attach(Trainer* trainer, const std::vector<int>& members) {
  const MutexLock lock(&mutex_);
  trainer_ = trainer;
  for (size_t i = 0; i < members.size(); ++i) {
    const auto index = static_cast<int>(i);
    Member& state = at(members[i]);
    // Either may have come while the trainer was being made.
    if (state.dropped) {
      trainer_->Drop(index);
      continue;
    }
    state.trainer_index = index;
    if (state.releasing) trainer_->RequestCheckpoints();
  }
}

void Gang::Detach() {
  const MutexLock lock(&mutex_);
  for (Member& state : members_) {
    if (state.trainer_index < 0) continue;
    state.iteration = trainer_->progress().iteration;
    state.trainer_index = -1;
  }
  trainer_ = nullptr;
}

Gang::Progress Gang::progress(int member) const {
  const MutexLock lock(&mutex_);
  const Member& state = at(member);
  // Whoever waits for its turn gets on as those before it do. What is dropped may be with the
  // keeper.
  const uint64_t pulse = state.dropped ? 0 : Pulse();
  if (state.trainer_index < 0) return {state.iteration, 0.0, pulse};
  return {trainer_->progress().iteration, trainer_->progress().iterations_per_second, pulse};
}

void Gang::SetComputing(bool computing) {
  const MutexLock lock(&mutex_);
  computing_ = computing;
}

uint64_t Gang::pulse() const {
  const MutexLock lock(&mutex_);
  return Pulse();
}

// While the trainer is being made it gets nowhere either.
uint64_t Gang::Pulse() const {
  if (!computing_) return 0;
  return trainer_ == nullptr ? 1 : 2 + trainer_->progress().pulse;
}

}  // namespace modlab
