#include "server/engine/sessions.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace modlab {

void Sessions::Attach(const std::string& worker_id, std::shared_ptr<WorkerChannel> channel) {
  Session& session = sessions_[worker_id];
  if (session.channel != nullptr && session.channel != channel) {
    session.channel->Close(absl::AbortedError(
        absl::StrCat("a newer stream of worker ", worker_id, " took this one's place")));
  }
  if (session.channel != channel) session.processed.stream_is_new = true;
  session.channel = std::move(channel);
  unanswered_.insert(worker_id);
}

bool Sessions::Detach(const std::string& worker_id, const WorkerChannel* channel) {
  auto session = sessions_.find(worker_id);
  if (session == sessions_.end() || session->second.channel.get() != channel) return false;
  session->second.channel = nullptr;
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
