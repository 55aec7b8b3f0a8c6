#include "server/services/worker_stream.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "server/engine/report_check.h"
#include "server/services/status.h"

namespace modlab {

WorkerStream::WorkerStream(Engine* engine, grpc::CallbackServerContext* context,
                           std::function<absl::Status()> is_allowed)
    : engine_(engine),
      is_allowed_(std::move(is_allowed)),
      watch_(context),
      channel_(std::make_shared<Channel>(this)) {
  watch_.Begin();
  StartRead(&view_);
}

void WorkerStream::OnReadDone(bool ok) {
  // The worker has said its last, or the connection is lost.
  absl::Status status;
  if (ok) status = TakeView();
  if (!ok || !status.ok()) channel_->Close(status);
}

absl::Status WorkerStream::TakeView() {
  watch_.End();
  absl::Status status = is_allowed_();
  if (status.ok()) status = CheckView(view_);
  if (!status.ok()) return status;
  if (worker_id_.empty()) worker_id_ = view_.worker_id();
  if (view_.worker_id() != worker_id_) {
    return absl::InvalidArgumentError("worker_id differs from that of the stream's first view");
  }
  return engine_->Synchronise(std::exchange(view_, v1::WorkerView()), channel_);
}

void WorkerStream::OnWriteDone(bool ok) { channel_->WriteDone(ok); }

void WorkerStream::OnDone() {
  channel_->Detach();
  if (!worker_id_.empty()) engine_->Disconnect(worker_id_, channel_);
  delete this;
}

// -- the engine's end ------------------------------------------------------------

void WorkerStream::Channel::Send(const v1::CoordinatorView& view) {
  const MutexLock lock(&mutex_);
  if (stream_ == nullptr || closed_.has_value()) return;
  if (writing_) {
    next_ = view;
  } else {
    Write(view);
  }
}

void WorkerStream::Channel::Taken() {
  const MutexLock lock(&mutex_);
  if (stream_ == nullptr || closed_.has_value()) return;
  const absl::Duration delay = ReadDelay();
  if (delay <= absl::ZeroDuration()) {
    stream_->StartRead(&stream_->view_);
    return;
  }
  read_alarm_ = std::make_unique<grpc::Alarm>();
  // An alarm keeps what it calls as long as it lives: were that the channel, neither
  // would ever go.
  read_alarm_->Set(absl::ToChronoTime(absl::Now() + delay), [weak = weak_from_this()](bool rang) {
    const std::shared_ptr<Channel> self = weak.lock();
    if (rang && self != nullptr) self->ReadNext();
  });
}

void WorkerStream::Channel::ReadNext() {
  const MutexLock lock(&mutex_);
  if (stream_ != nullptr && !closed_.has_value()) stream_->StartRead(&stream_->view_);
}

absl::Duration WorkerStream::Channel::ReadDelay() {
  const absl::Time now = absl::Now();
  if (now > reads_counted_) {
    const double seconds = absl::ToDoubleSeconds(now - reads_counted_);
    reads_left_ = std::min(kViewsBurst, reads_left_ + kViewsPerSecond * seconds);
  }
  reads_counted_ = now;
  reads_left_ -= 1;
  return reads_left_ >= 0 ? absl::ZeroDuration() : absl::Seconds(-reads_left_ / kViewsPerSecond);
}

void WorkerStream::Channel::Close(const absl::Status& why) {
  const MutexLock lock(&mutex_);
  if (closed_.has_value()) return;
  closed_ = why;
  if (!why.ok()) next_.reset();
  FinishIfIdle();
}

bool WorkerStream::Channel::closed() const {
  const MutexLock lock(&mutex_);
  return closed_.has_value();
}

void WorkerStream::Channel::WriteDone(bool ok) {
  const MutexLock lock(&mutex_);
  writing_ = false;
  if (ok && next_.has_value()) {
    Write(*std::exchange(next_, std::nullopt));
  } else {
    FinishIfIdle();
  }
}

void WorkerStream::Channel::Detach() {
  const MutexLock lock(&mutex_);
  stream_ = nullptr;
}

void WorkerStream::Channel::Write(v1::CoordinatorView view) {
  written_ = std::move(view);
  writing_ = true;
  stream_->StartWrite(&written_);
}

void WorkerStream::Channel::FinishIfIdle() {
  if (stream_ == nullptr || writing_ || finished_ || !closed_.has_value()) return;
  finished_ = true;
  stream_->Finish(ToGrpcStatus(*closed_));
}

}  // namespace modlab
