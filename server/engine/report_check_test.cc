#include "server/engine/report_check.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace modlab {
namespace {

using ::testing::HasSubstr;

v1::WorkerView View() {
  v1::WorkerView view;
  view.set_worker_id(std::string(32, 'a'));
  view.set_name("node-1:17");
  view.set_device("cuda");
  view.set_slots(2);
  view.set_gang_size_max(8);
  view.add_labels("a100");
  view.add_labels("rack=7/b");
  view.set_memory_bytes(int64_t{80} << 30);
  view.set_place("node-1/cuda:0");
  return view;
}

// The message; "" if the view is taken.
std::string Check(const v1::WorkerView& view) { return std::string(CheckView(view).message()); }

TEST(ReportCheckTest, AViewKeepsItsLimits) {
  EXPECT_EQ(Check(View()), "");
  v1::WorkerView view = View();
  view.set_name("");
  EXPECT_THAT(Check(view), HasSubstr("name has 0 characters; allowed are 1 to 128"));
  view.set_name("two\nlines");
  EXPECT_THAT(Check(view), HasSubstr("name is \"two\\nlines\""));
  view = View();
  view.set_place(std::string(161, 'x'));
  EXPECT_THAT(Check(view), HasSubstr("place has 161 characters"));
  view = View();
  view.set_device_name(std::string(257, 'x'));
  EXPECT_THAT(Check(view), HasSubstr("device_name has 257"));
  view = View();
  view.set_memory_bytes(-1);
  EXPECT_THAT(Check(view), HasSubstr("memory_bytes is -1"));
  view = View();
  view.set_slot_memory_bytes(-1);
  EXPECT_THAT(Check(view), HasSubstr("slot_memory_bytes is -1"));
  view = View();
  view.add_labels("no spaces");
  EXPECT_THAT(Check(view), HasSubstr("no spaces"));
  view = View();
  for (int i = 0; i < 63; ++i) view.add_labels("x");
  EXPECT_THAT(Check(view), HasSubstr("labels has 65; at most 64"));
}

TEST(ReportCheckTest, AViewIsOfBoundedSize) {
  v1::WorkerView view = View();
  for (int64_t job = 1; job <= 32'768; ++job) view.add_held()->set_job_id(job);
  v1::Report* report = view.add_reports();
  report->set_number(1);
  report->mutable_failed()->set_message(std::string(3 << 20, 'x'));
  EXPECT_EQ(Check(view), "");
  report->mutable_failed()->set_message(std::string(5 << 20, 'x'));
  EXPECT_THAT(Check(view), HasSubstr("at most 4 MiB"));
  view.clear_reports();
  view.add_held();
  EXPECT_THAT(Check(view), HasSubstr("held has 32769; at most 32768"));
}

TEST(ReportCheckTest, PointsAreWhereTheConfigHasThem) {
  v1::JobConfig config;
  config.set_iterations(120);
  config.set_eval_interval(50);
  v1::CurvePoint point;
  for (int64_t iteration : {0, 50, 100, 120}) {
    point.set_iteration(iteration);
    EXPECT_TRUE(CheckPoint(point, config).ok()) << iteration;
  }
  for (int64_t iteration : {-1, 1, 99, 119, 121, 150}) {
    point.set_iteration(iteration);
    EXPECT_THAT(std::string(CheckPoint(point, config).message()),
                HasSubstr(std::to_string(iteration)));
  }
}

}  // namespace
}  // namespace modlab
