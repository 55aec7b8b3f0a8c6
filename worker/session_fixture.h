// What tests of the session share: views, reports, and a session that counts its news.

#ifndef MODLAB_WORKER_SESSION_FIXTURE_H_
#define MODLAB_WORKER_SESSION_FIXTURE_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/session.h"

namespace modlab {

inline v1::WorkerView Identity() {
  v1::WorkerView identity;
  identity.set_worker_id("0123456789abcdef0123456789abcdef");
  identity.set_name("host:1");
  identity.set_slots(2);
  identity.set_gang_size_max(8);
  return identity;
}

inline void List(v1::CoordinatorView* view, int64_t gang_id, const std::vector<int64_t>& jobs,
                 int32_t attempt = 1) {
  v1::Gang* gang = view->add_gangs();
  gang->set_id(gang_id);
  for (const int64_t job : jobs) {
    v1::Lease* lease = gang->add_leases();
    lease->set_job_id(job);
    lease->set_attempt(attempt);
  }
}

inline v1::CoordinatorView Listing(int64_t gang_id, const std::vector<int64_t>& jobs,
                                   uint64_t acknowledged = 0, int32_t attempt = 1) {
  v1::CoordinatorView view;
  List(&view, gang_id, jobs, attempt);
  view.set_reports_acknowledged(acknowledged);
  return view;
}

inline v1::CoordinatorView ListingNothing(uint64_t acknowledged = 0) {
  v1::CoordinatorView view;
  view.set_reports_acknowledged(acknowledged);
  return view;
}

inline v1::Report Point(int64_t iteration = 0) {
  v1::Report report;
  report.mutable_point()->set_iteration(iteration);
  return report;
}

inline v1::Report Finished() {
  v1::Report report;
  report.mutable_finished()->set_wall_seconds(1);
  return report;
}

inline std::vector<int64_t> HeldJobs(const v1::WorkerView& view) {
  std::vector<int64_t> jobs;
  for (const v1::HeldLease& held : view.held()) jobs.push_back(held.job_id());
  return jobs;
}

inline std::vector<uint64_t> Numbers(const v1::WorkerView& view) {
  std::vector<uint64_t> numbers;
  for (const v1::Report& report : view.reports()) numbers.push_back(report.number());
  return numbers;
}

class SessionTest : public testing::Test {
 protected:
  explicit SessionTest(ReportLimits limits = {})
      : session_(Identity(), limits, [this] { ++news_; }) {
    session_.StreamOpened();
  }

  std::atomic<int> news_{0};
  Session session_;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_SESSION_FIXTURE_H_
