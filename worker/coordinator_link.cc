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
// Bounds of what a coordinator may ask for.
constexpr milliseconds kIntervalMin(20);
constexpr milliseconds kIntervalMax(3'600'000);

milliseconds Bounded(int64_t interval_ms) {
  return std::min(std::max(milliseconds(interval_ms), kIntervalMin), kIntervalMax);
}

}  // namespace

// One call. Its state is guarded by the link's mutex.
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

  // -- for the link's thread, with the mutex --
  bool broken() const { return is_broken_; }
  bool writing() const { return is_writing_; }

  void Send(v1::WorkerView view, bool is_last) {
    is_writing_ = true;
    outgoing_ = std::move(view);
    if (is_last) {
      StartWriteLast(&outgoing_, grpc::WriteOptions());
    } else {
      StartWrite(&outgoing_);
    }
  }

  // Ends the call, by force if it has not ended within `grace`, and returns how
  // it ended. Nothing may be called after it.
  grpc::Status Close(std::unique_lock<std::mutex>* lock, milliseconds grace) {
    lock->unlock();
    RemoveHold();
    lock->lock();
    if (!link_->changed_.wait_for(*lock, grace, [this] { return is_done_; })) {
      context_.TryCancel();
      link_->changed_.wait(*lock, [this] { return is_done_; });
    }
    return status_;
  }

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
    const std::lock_guard<std::mutex> lock(link_->mutex_);
    is_writing_ = false;
    link_->changed_.notify_all();
  }

  void OnDone(const grpc::Status& status) override {
    const std::lock_guard<std::mutex> lock(link_->mutex_);
    status_ = status;
    is_done_ = true;
    link_->changed_.notify_all();
  }

  void Break() {
    const std::lock_guard<std::mutex> lock(link_->mutex_);
    is_broken_ = true;
    link_->changed_.notify_all();
  }

  CoordinatorLink* const link_;
  grpc::ClientContext context_;
  v1::CoordinatorView incoming_;
  v1::WorkerView outgoing_;
  grpc::Status status_;
  bool is_writing_ = false;
  bool is_broken_ = false;
  bool is_done_ = false;
};

CoordinatorLink::CoordinatorLink(std::shared_ptr<grpc::Channel> channel, std::string address,
                                 Session* session)
    : stub_(v1::WorkerService::NewStub(std::move(channel))),
      address_(std::move(address)),
      session_(session) {}

CoordinatorLink::~CoordinatorLink() { Stop(milliseconds(0)); }

void CoordinatorLink::Start() {
  thread_ = std::thread([this] { Run(); });
}

void CoordinatorLink::Wake() {
  // With the mutex, so that it cannot fall between a look at the session and
  // the wait that follows.
  const std::lock_guard<std::mutex> lock(mutex_);
  changed_.notify_all();
}

void CoordinatorLink::Stop(milliseconds grace) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    stop_deadline_ = Clock::now() + grace;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void CoordinatorLink::Heard(const v1::CoordinatorView& view) {
  const std::lock_guard<std::mutex> lock(mutex_);
  last_heard_ = Clock::now();
  heartbeat_interval_ = Bounded(view.heartbeat_interval_ms());
  lease_duration_ = std::max(Bounded(view.lease_duration_ms()), heartbeat_interval_);
  if (!is_regained_) spdlog::info("connected to the coordinator at {}", address_);
  is_regained_ = true;
  is_lost_ = false;
  // Acknowledgements are what Stop() waits for.
  changed_.notify_all();
}

bool CoordinatorLink::IsOver() const {
  return stopping_ && (Clock::now() >= stop_deadline_ || !session_->has_unacknowledged());
}

void CoordinatorLink::Run() {
  Backoff backoff;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!IsOver()) {
    is_regained_ = false;
    lock.unlock();
    RunStream();
    lock.lock();
    if (is_regained_) backoff.Reset();
    changed_.wait_for(lock, backoff.Next(), [this] { return IsOver(); });
  }
}

void CoordinatorLink::RunStream() {
  session_->StreamOpened();
  Stream stream(this);
  std::unique_lock<std::mutex> lock(mutex_);
  last_heard_ = Clock::now();
  Clock::time_point last_sent = last_heard_ - kIntervalMax;
  bool is_silent = false;
  bool sent_last = false;
  while (!stream.broken()) {
    const Clock::time_point now = Clock::now();
    const Clock::time_point silent_at = last_heard_ + lease_duration_;
    is_silent = now >= silent_at;
    if (is_silent || (stopping_ && now >= stop_deadline_)) break;
    // Nobody has heard of us, and nothing need be heard.
    if (!is_regained_ && IsOver()) break;

    Clock::time_point wake_at = stopping_ ? std::min(silent_at, stop_deadline_) : silent_at;
    if (!stream.writing() && !sent_last) {
      const bool has_news = session_->has_news();
      // Stopping, nothing is left to be said or heard: half-close. The
      // coordinator answers by ending the call, when it has read all.
      const bool is_last = stopping_ && !has_news && !session_->has_unacknowledged();
      const Clock::time_point send_at =
          last_sent + (has_news || is_last ? kBurstInterval : heartbeat_interval_);
      if (now >= send_at) {
        stream.Send(session_->NextView(), is_last);
        last_sent = now;
        sent_last = is_last;
        continue;
      }
      wake_at = std::min(wake_at, send_at);
    }
    changed_.wait_until(lock, wake_at);
  }
  const bool is_asked = stopping_;
  // A call that broke ends by itself.
  const grpc::Status status = stream.Close(&lock, milliseconds(stream.broken() ? 1000 : 0));
  if (is_asked || is_lost_) return;
  is_lost_ = true;
  const std::string reason =
      is_silent ? "nothing heard for " + std::to_string(lease_duration_.count()) + " ms"
                : status.error_message();
  spdlog::warn("no connection to the coordinator at {}: {} (code {}); trying again", address_,
               reason, static_cast<int>(status.error_code()));
}

}  // namespace modlab
