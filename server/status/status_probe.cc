#include "server/status/status_probe.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace modlab {

StatusProbe::StatusProbe(Source source) : source_(std::move(source)), thread_([this] { Work(); }) {}

StatusProbe::~StatusProbe() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  asked_.NotifyAll();
  thread_.join();
}

std::shared_ptr<const StatusProbe::Answer> StatusProbe::Get(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const MutexLock lock(&mutex_);
  const int64_t before = answers_;
  wanted_ = true;
  asked_.NotifyOne();
  while (answers_ == before) {
    if (answered_.WaitUntil(&mutex_, deadline) || answers_ != before) continue;
    return std::make_shared<Answer>(
        absl::DeadlineExceededError(absl::StrCat("no answer within ", patience.count(), " ms")));
  }
  return newest_;
}

void StatusProbe::Work() {
  while (true) {
    {
      const MutexLock lock(&mutex_);
      while (!stopping_ && !wanted_) asked_.Wait(&mutex_);
      if (stopping_) return;
      wanted_ = false;
    }
    auto answer = std::make_shared<const Answer>(source_());
    {
      const MutexLock lock(&mutex_);
      newest_ = std::move(answer);
      ++answers_;
    }
    answered_.NotifyAll();
  }
}

}  // namespace modlab
