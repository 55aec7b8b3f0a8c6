#include "worker/coordinator_link.h"

#include <algorithm>
#include <utility>

#include "grpcpp/client_context.h"
#include "grpcpp/support/client_callback.h"
#include "grpcpp/support/status.h"
#include "spdlog/spdlog.h"
#include "worker/backoff.h"

namespace modlab {
namespace {

using std::chrono::milliseconds;

// Between two views while there is news all the time.
constexpr milliseconds kBurstInterval(20);
// For a call that broke to end by itself.
constexpr milliseconds kEndDuration(1000);
// Bounds of what a coordinator may ask for.
constexpr milliseconds kIntervalMin(20);
constexpr milliseconds kIntervalMax(3'600'000);

milliseconds Bounded(int64_t interval_ms) {
  return std::min(std::max(milliseconds(interval_ms), kIntervalMin), kIntervalMax);
}

}  // namespace

// One call. What becomes of it is in the link's call_.
class CoordinatorLink::Stream
    : public grpc::ClientBidiReactor<v1::WorkerView, v1::CoordinatorView> {
 public:
  explicit Stream(CoordinatorLink* link) : link_(link) {
    link_->stub_->async()->Synchronise(&context_, this);
    // Writes are started from the link's thread.
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  // -- for the link's thread --

  // While nothing is being written.
  void Send(v1::WorkerView view, bool is_last) {
    outgoing_ = std::move(view);
    if (is_last) {
      StartWriteLast(&outgoing_, grpc::WriteOptions());
    } else {
      StartWrite(&outgoing_);
    }
  }
  // No more is sent. Without the link's mutex.
  void Leave() { RemoveHold(); }
  void Cancel() { context_.TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      link_->session_->Apply(incoming_);
      link_->Heard(incoming_);
      StartRead(&incoming_);
    } else {
      Break();
    }
  }

  void OnWriteDone(bool ok) override {
    if (!ok) Break();
    const MutexLock lock(&link_->mutex_);
    link_->call_.writing = false;
    link_->changed_.NotifyAll();
  }

  void OnDone(const grpc::Status& status) override {
    const MutexLock lock(&link_->mutex_);
    link_->call_.status = status;
    link_->call_.done = true;
    link_->changed_.NotifyAll();
  }

  void Break() {
    const MutexLock lock(&link_->mutex_);
    link_->call_.broken = true;
    link_->changed_.NotifyAll();
  }

  CoordinatorLink* const link_;
  grpc::ClientContext context_;
  v1::CoordinatorView incoming_;
  v1::WorkerView outgoing_;
};

CoordinatorLink::CoordinatorLink(std::shared_ptr<grpc::Channel> channel, std::string address,
                                 Session* session, Backoff backoff)
    : stub_(v1::WorkerService::NewStub(std::move(channel))),
      address_(std::move(address)),
      session_(session),
      backoff_(backoff) {}

CoordinatorLink::~CoordinatorLink() { Stop(milliseconds(0)); }

void CoordinatorLink::Start() {
  thread_ = std::thread([this] { Run(); });
}

void CoordinatorLink::Wake() {
  // With the mutex, so that it cannot fall between a look at the session and
  // the wait that follows.
  const MutexLock lock(&mutex_);
  changed_.NotifyAll();
}

void CoordinatorLink::Stop(milliseconds grace) {
  {
    const MutexLock lock(&mutex_);
    if (stopping_) return;
    stopping_ = true;
    stop_deadline_ = Clock::now() + grace;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void CoordinatorLink::Heard(const v1::CoordinatorView& view) {
  const MutexLock lock(&mutex_);
  last_heard_ = Clock::now();
  heartbeat_interval_ = Bounded(view.heartbeat_interval_ms());
  lease_duration_ = std::max(Bounded(view.lease_duration_ms()), heartbeat_interval_);
  if (!is_regained_) spdlog::info("connected to the coordinator at {}", address_);
  is_regained_ = true;
  is_lost_ = false;
  // Acknowledgements are what Stop() waits for.
  changed_.NotifyAll();
}

bool CoordinatorLink::IsOver() const {
  return stopping_ && (Clock::now() >= stop_deadline_ || !session_->has_unacknowledged());
}

CoordinatorLink::Clock::time_point CoordinatorLink::UnlessStopped(Clock::time_point time) const {
  return stopping_ ? std::min(time, stop_deadline_) : time;
}

void CoordinatorLink::Run() {
  while (true) {
    {
      const MutexLock lock(&mutex_);
      if (IsOver()) return;
      is_regained_ = false;
      call_ = Call();
      last_heard_ = Clock::now();
    }
    RunStream();
    const MutexLock lock(&mutex_);
    if (is_regained_) backoff_.Reset();
    const Clock::time_point end = Clock::now() + backoff_.Next();
    while (!IsOver() && Clock::now() < end) changed_.WaitUntil(&mutex_, UnlessStopped(end));
  }
}

void CoordinatorLink::RunStream() {
  session_->StreamOpened();
  Stream stream(this);
  const bool is_silent = Talk(&stream);
  stream.Leave();
  const MutexLock lock(&mutex_);
  const bool is_asked = stopping_;
  // A call that broke ends by itself.
  const Clock::time_point end = Clock::now() + (call_.broken ? kEndDuration : milliseconds(0));
  while (!call_.done && Clock::now() < UnlessStopped(end)) {
    changed_.WaitUntil(&mutex_, UnlessStopped(end));
  }
  if (!call_.done) stream.Cancel();
  while (!call_.done) changed_.Wait(&mutex_);
  if (is_asked || is_lost_) return;
  is_lost_ = true;
  const std::string reason =
      is_silent ? "nothing heard for " + std::to_string(lease_duration_.count()) + " ms"
                : call_.status.error_message();
  spdlog::warn("no connection to the coordinator at {}: {} (code {}); trying again", address_,
               reason, static_cast<int>(call_.status.error_code()));
}

bool CoordinatorLink::Talk(Stream* stream) {
  const MutexLock lock(&mutex_);
  Clock::time_point last_sent = Clock::now() - kIntervalMax;
  bool sent_last = false;
  while (!call_.broken) {
    const Clock::time_point now = Clock::now();
    const Clock::time_point silent_at = last_heard_ + lease_duration_;
    if (now >= silent_at) return true;
    if (stopping_ && now >= stop_deadline_) break;
    // Nobody has heard of us, and nothing need be heard.
    if (!is_regained_ && IsOver()) break;

    Clock::time_point wake_at = UnlessStopped(silent_at);
    if (!call_.writing && !sent_last) {
      const bool has_news = session_->has_news();
      // Stopping, nothing is left to be said or heard: half-close. The
      // coordinator answers by ending the call, when it has read all.
      const bool is_last = stopping_ && !has_news && !session_->has_unacknowledged();
      const Clock::time_point send_at =
          last_sent + (has_news || is_last ? kBurstInterval : heartbeat_interval_);
      if (now >= send_at) {
        call_.writing = true;
        stream->Send(session_->NextView(), is_last);
        last_sent = now;
        sent_last = is_last;
        continue;
      }
      wake_at = std::min(wake_at, send_at);
    }
    changed_.WaitUntil(&mutex_, wake_at);
  }
  return false;
}

}  // namespace modlab
