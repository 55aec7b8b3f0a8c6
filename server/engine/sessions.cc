#include "server/engine/sessions.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/engine/job_log.h"
#include "spdlog/spdlog.h"

namespace modlab {

void Sessions::Attach(const v1::WorkerView& view, std::shared_ptr<WorkerChannel> channel) {
  const std::string& worker_id = view.worker_id();
  Session& session = sessions_[worker_id];
  if (session.channel != nullptr && session.channel != channel) {
    session.channel->Close(absl::AbortedError(
        absl::StrCat("a newer stream of worker ", worker_id, " took this one's place")));
  }
  if (session.channel != channel) {
    session.processed.stream_is_new = true;
    session.name = view.name();
    spdlog::info("{}: connected, {} slots on {}, holds {} jobs", LogField("worker", session.name),
                 view.slots(), absl::Utf8SafeCEscape(view.place()), view.held_size());
  }
  if (view.draining() && !std::exchange(session.draining, true)) {
    spdlog::info("{}: drains", LogField("worker", session.name));
  }
  session.channel = std::move(channel);
  unanswered_.insert(worker_id);
}

bool Sessions::Detach(const std::string& worker_id, const WorkerChannel* channel) {
  auto session = sessions_.find(worker_id);
  if (session == sessions_.end() || session->second.channel.get() != channel) return false;
  session->second.channel = nullptr;
  spdlog::info("{}: disconnected", LogField("worker", session->second.name));
  return true;
}

void Sessions::Acknowledge() {
  for (const std::string& worker_id : unanswered_) {
    auto session = sessions_.find(worker_id);
    if (session != sessions_.end()) session->second.acknowledged = session->second.processed.newest;
  }
}

void Sessions::Forget(const std::string& worker_id) {
  auto session = sessions_.find(worker_id);
  if (session != sessions_.end()) session->second.processed.newest = session->second.acknowledged;
}

void Sessions::ForgetUnacknowledged(const absl::Status& why) {
  for (const std::string& worker_id : unanswered_) {
    auto it = sessions_.find(worker_id);
    if (it == sessions_.end()) continue;
    Session& session = it->second;
    if (session.processed.newest == session.acknowledged) continue;
    session.processed.newest = session.acknowledged;
    // Perhaps not the one that brought it: that may be closed by now.
    if (session.channel != nullptr) {
      session.channel->Close(absl::UnavailableError(
          absl::StrCat("reports could not be written: ", std::string(why.message()))));
    }
  }
}

void Sessions::SendViews(Queue* queue) {
  for (std::string& worker_id : queue->TakeChangedWorkers()) {
    unanswered_.insert(std::move(worker_id));
  }
  for (const std::string& worker_id : unanswered_) {
    auto session = sessions_.find(worker_id);
    if (session == sessions_.end() || session->second.channel == nullptr) continue;
    v1::CoordinatorView view = frame_;
    view.set_reports_acknowledged(session->second.acknowledged);
    if (queue->FillGangs(worker_id, &view)) session->second.channel->Send(view);
  }
  unanswered_.clear();
}

void Sessions::Prune(const Queue& queue) {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    if (queue.KnowsWorker(it->first)) {
      ++it;
      continue;
    }
    if (it->second.channel != nullptr) {
      spdlog::info("{}: not heard of for longer than a lease", LogField("worker", it->second.name));
      it->second.channel->Close(absl::UnavailableError(
          "the worker was not heard of for longer than a lease; connect again"));
    }
    it = sessions_.erase(it);
  }
}

void Sessions::CloseAll(const absl::Status& why) {
  for (auto& [worker_id, session] : sessions_) {
    if (session.channel != nullptr) session.channel->Close(why);
  }
  sessions_.clear();
}

}  // namespace modlab
