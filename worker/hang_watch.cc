#include "worker/hang_watch.h"

namespace modlab {

namespace {

bool IsWanted(const Gang& gang, const Session& session) {
  for (int member = 0; member < gang.size(); ++member) {
    if (session.Wants(gang, member)) return true;
  }
  return false;
}

}  // namespace

bool HangWatch::Look(const std::shared_ptr<Gang>& gang, const Session& session, TimePoint now) {
  if (gang == nullptr || IsWanted(*gang, session)) {
    gang_.reset();
    return false;
  }
  const uint64_t pulse = gang->pulse();
  if (gang_.lock() != gang || pulse != pulse_) {
    gang_ = gang;
    pulse_ = pulse;
    since_ = now;
  }
  return now - since_ >= hangs_after_;
}

}  // namespace modlab
