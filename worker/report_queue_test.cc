#include "worker/report_queue.h"

#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

v1::Report PointAt(int64_t iteration) {
  v1::Report report;
  report.mutable_point()->set_iteration(iteration);
  return report;
}

std::vector<uint64_t> Take(ReportQueue* queue, int64_t bytes_max = 1 << 20) {
  google::protobuf::RepeatedPtrField<v1::Report> taken;
  queue->TakeUnsent(bytes_max, &taken);
  std::vector<uint64_t> numbers;
  for (const v1::Report& report : taken) numbers.push_back(report.number());
  return numbers;
}

TEST(ReportQueue, NumbersFromOneAndTakesEachOnce) {
  ReportQueue queue(100, 1 << 20);
  EXPECT_EQ(queue.Add(PointAt(10)), 1u);
  EXPECT_EQ(queue.Add(PointAt(20)), 2u);
  EXPECT_THAT(Take(&queue), ElementsAre(1, 2));
  EXPECT_FALSE(queue.has_unsent());
  EXPECT_EQ(queue.Add(PointAt(30)), 3u);
  EXPECT_THAT(Take(&queue), ElementsAre(3));
  EXPECT_THAT(Take(&queue), IsEmpty());
}

TEST(ReportQueue, RewindBringsBackWhatIsNotAcknowledged) {
  ReportQueue queue(100, 1 << 20);
  for (int i = 0; i < 4; ++i) queue.Add(PointAt(i));
  EXPECT_THAT(Take(&queue), ElementsAre(1, 2, 3, 4));
  queue.Acknowledge(2);
  EXPECT_EQ(queue.acknowledged(), 2u);
  EXPECT_FALSE(queue.has_unsent());
  queue.Rewind();
  EXPECT_THAT(Take(&queue), ElementsAre(3, 4));
}

TEST(ReportQueue, AcknowledgementMayOvertakeSending) {
  ReportQueue queue(100, 1 << 20);
  for (int i = 0; i < 3; ++i) queue.Add(PointAt(i));
  queue.Acknowledge(2);
  EXPECT_THAT(Take(&queue), ElementsAre(3));
}

TEST(ReportQueue, OldOrAbsurdAcknowledgementsDoNoHarm) {
  ReportQueue queue(100, 1 << 20);
  for (int i = 0; i < 3; ++i) queue.Add(PointAt(i));
  queue.Acknowledge(3);
  queue.Acknowledge(1);
  queue.Acknowledge(1000);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.acknowledged(), 3u);
  EXPECT_EQ(queue.Add(PointAt(4)), 4u);
  EXPECT_THAT(Take(&queue), ElementsAre(4));
}

TEST(ReportQueue, TakesAsMuchAsFitsButAtLeastOne) {
  ReportQueue queue(100, 1 << 20);
  for (int i = 0; i < 3; ++i) queue.Add(PointAt(1));
  EXPECT_THAT(Take(&queue, 1), ElementsAre(1));
  const auto one = static_cast<int64_t>(PointAt(1).ByteSizeLong());
  EXPECT_THAT(Take(&queue, 4 * one), ElementsAre(2));
  EXPECT_THAT(Take(&queue), ElementsAre(3));
}

TEST(ReportQueue, IsFullByNumberOrByBytes) {
  ReportQueue by_number(2, 1 << 20);
  by_number.Add(PointAt(1));
  EXPECT_FALSE(by_number.full());
  by_number.Add(PointAt(2));
  EXPECT_TRUE(by_number.full());
  by_number.Acknowledge(1);
  EXPECT_FALSE(by_number.full());

  ReportQueue by_bytes(100, 10);
  EXPECT_FALSE(by_bytes.full());
  by_bytes.Add(PointAt(1));
  EXPECT_TRUE(by_bytes.full());
  by_bytes.Acknowledge(1);
  EXPECT_FALSE(by_bytes.full());
}

}  // namespace
}  // namespace modlab
