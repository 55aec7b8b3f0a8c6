// A session between real slot threads and a coordinator that loses streams,
// restarts, and gives leases away: every job still ends exactly once.

#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "worker/session.h"

namespace modlab {
namespace {

constexpr int kJobs = 400;
constexpr int kSlots = 3;
constexpr int kPoints = 5;

// What the real coordinator does, without the time: whatever it has received is
// on disk at once.
class Coordinator {
 public:
  explicit Coordinator(uint32_t seed) : random_(seed) {
    for (int64_t job = 1; job <= kJobs; ++job) jobs_[job] = Job();
  }

  bool AllFinished() const { return finished_ == kJobs; }
  bool Chance(double probability) { return std::bernoulli_distribution(probability)(random_); }

  void Receive(const v1::WorkerView& view) {
    for (const v1::Report& report : view.reports()) {
      if (report.number() <= received_) continue;
      ASSERT_EQ(report.number(), received_ + 1) << "a gap";
      received_ = report.number();
      Take(report);
    }
    int unseen = 0;
    for (const auto& [gang_id, jobs] : gangs_) {
      bool seen = false;
      for (const v1::HeldLease& held : view.held()) seen = seen || held.gang_id() == gang_id;
      if (!seen) ++unseen;
    }
    ASSERT_LE(view.slots_idle(), kSlots);
    for (int idle = view.slots_idle() - unseen; idle > 0; --idle) Assign();
  }

  v1::CoordinatorView View() const {
    v1::CoordinatorView view;
    view.set_reports_acknowledged(received_);
    for (const auto& [gang_id, jobs] : gangs_) {
      v1::Gang* gang = view.add_gangs();
      gang->set_id(gang_id);
      for (const int64_t job : jobs) {
        v1::Lease* lease = gang->add_leases();
        lease->set_job_id(job);
        lease->set_attempt(jobs_.at(job).attempt);
      }
    }
    return view;
  }

  // Gang ids start again, in another order and grouping.
  void Restart() {
    std::map<int64_t, std::vector<int64_t>> old;
    old.swap(gangs_);
    next_gang_ = 1;
    for (const auto& [gang_id, jobs] : old) {
      for (const int64_t job : jobs) gangs_[next_gang_ + gang_id % 2].push_back(job);
    }
    next_gang_ += 2;
  }

  // As when a lease expired: the job will be given to whoever is idle.
  void GiveAwayOne() {
    if (gangs_.empty()) return;
    Unlease(gangs_.begin()->second.front());
  }

 private:
  struct Job {
    bool is_leased = false;
    bool is_finished = false;
    int32_t attempt = 0;
    int64_t points = 0;
  };

  void Take(const v1::Report& report) {
    Job& job = jobs_.at(report.job_id());
    if (!job.is_leased || job.attempt != report.attempt()) return;
    if (report.has_point()) {
      ASSERT_EQ(report.point().iteration(), ++job.points);
    } else {
      ASSERT_TRUE(report.has_finished());
      ASSERT_EQ(job.points, kPoints);
      ASSERT_FALSE(job.is_finished);
      Unlease(report.job_id());
      job.is_finished = true;
      ++finished_;
    }
  }

  void Unlease(int64_t job) {
    jobs_.at(job).is_leased = false;
    for (auto it = gangs_.begin(); it != gangs_.end();) {
      std::vector<int64_t> others;
      for (const int64_t member : it->second) {
        if (member != job) others.push_back(member);
      }
      it->second = std::move(others);
      it = it->second.empty() ? gangs_.erase(it) : std::next(it);
    }
  }

  void Assign() {
    std::vector<int64_t> members;
    for (auto& [id, job] : jobs_) {
      if (job.is_leased || job.is_finished || members.size() == 4) continue;
      job.is_leased = true;
      ++job.attempt;
      job.points = 0;
      members.push_back(id);
    }
    if (!members.empty()) gangs_[next_gang_++] = members;
  }

  std::mt19937 random_;
  std::map<int64_t, Job> jobs_;
  std::map<int64_t, std::vector<int64_t>> gangs_;
  int64_t next_gang_ = 1;
  uint64_t received_ = 0;
  int finished_ = 0;
};

// As GangRunner, but all that is trained is a count.
void RunSlot(Session* session) {
  while (const std::shared_ptr<Gang> gang = session->NextGang()) {
    for (int64_t iteration = 1; iteration <= kPoints + 1; ++iteration) {
      for (int member = 0; member < gang->size(); ++member) {
        v1::Report report;
        if (iteration <= kPoints) {
          report.mutable_point()->set_iteration(iteration);
        } else {
          report.mutable_finished();
        }
        session->Add(*gang, member, std::move(report));
      }
    }
    session->GangEnded();
  }
}

class SessionStormTest : public testing::TestWithParam<uint32_t> {};

TEST_P(SessionStormTest, EveryJobEndsOnceWhateverGetsLost) {
  v1::WorkerView identity;
  identity.set_slots(kSlots);
  ReportLimits limits;
  limits.reports_max = 20;
  limits.view_bytes_max = 100;
  Session session(identity, limits, [] {});
  std::vector<std::thread> slots;
  for (int i = 0; i < kSlots; ++i) slots.emplace_back(RunSlot, &session);

  Coordinator coordinator(GetParam());
  session.StreamOpened();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!coordinator.AllFinished() && !HasFatalFailure()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "stuck";
      break;
    }
    const v1::WorkerView view = session.NextView();
    if (coordinator.Chance(0.02)) {  // lost on the way there
      session.StreamOpened();
      continue;
    }
    coordinator.Receive(view);
    if (coordinator.Chance(0.01)) coordinator.GiveAwayOne();
    if (coordinator.Chance(0.01)) coordinator.Restart();
    if (coordinator.Chance(0.02)) {  // lost on the way back
      session.StreamOpened();
      continue;
    }
    session.Apply(coordinator.View());
    if (!session.has_news()) std::this_thread::yield();
  }
  session.Abandon();
  for (std::thread& slot : slots) slot.join();
  EXPECT_TRUE(coordinator.AllFinished());
}

INSTANTIATE_TEST_SUITE_P(Seeds, SessionStormTest, testing::Range(1u, 21u));

}  // namespace
}  // namespace modlab
