#include "server/engine/inbox.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace modlab {

absl::Status Inbox::Post(Command command) {
  const MutexLock lock(&mutex_);
  if (closed_) return absl::UnavailableError("the coordinator is stopping; try again");
  if (commands_.size() >= limit_ && !command.urgent) {
    return absl::ResourceExhaustedError(
        absl::StrCat(limit_, " requests wait already; try again later"));
  }
  commands_.push_back(std::move(command));
  ready_.NotifyOne();
  return absl::OkStatus();
}

void Inbox::Close() {
  const MutexLock lock(&mutex_);
  closed_ = true;
  ready_.NotifyOne();
}

Inbox::Batch Inbox::Take(size_t size_max, std::chrono::milliseconds timeout) {
  const MutexLock lock(&mutex_);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!closed_ && commands_.empty() && ready_.WaitUntil(&mutex_, deadline)) {
  }
  Batch batch;
  while (!commands_.empty() && batch.commands.size() < size_max) {
    batch.commands.push_back(std::move(commands_.front()));
    commands_.pop_front();
  }
  if (!commands_.empty()) batch.next_posted_us = commands_.front().posted_us;
  batch.last = closed_ && commands_.empty();
  return batch;
}

}  // namespace modlab
