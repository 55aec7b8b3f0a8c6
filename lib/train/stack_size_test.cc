#include "lib/train/stack_size.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace modlab {
namespace {

struct Outcome {
  int64_t size = 0;
  std::set<int64_t> tried;
};

// Until it is done, or something is wrong.
Outcome Search(int64_t jobs, const std::function<double(int64_t)>& seconds_of) {
  StackSizeSearch search(jobs);
  Outcome outcome;
  for (int step = 0; !search.done() && step < 100'000; ++step) {
    outcome.tried.insert(search.size());
    search.Add(seconds_of(search.size()));
  }
  EXPECT_TRUE(search.done());
  outcome.size = search.size();
  return outcome;
}

TEST(StackSizeSearch, OneJobIsNotMeasured) {
  StackSizeSearch search(1);
  EXPECT_TRUE(search.done());
  EXPECT_EQ(search.size(), 1);
}

TEST(StackSizeSearch, TakesTheFastestOfAllHalves) {
  const Outcome outcome = Search(12, [](int64_t size) { return size == 3 ? 0.009 : 0.01; });
  EXPECT_EQ(outcome.size, 3);
  EXPECT_EQ(outcome.tried, std::set<int64_t>({1, 2, 3, 6, 12}));
}

TEST(StackSizeSearch, DoesNotTryEveryJobAloneWhereThatIsHopeless) {
  // As on a GPU, where a call costs much and the numbers little.
  const Outcome outcome = Search(256, [](int64_t size) { return 0.01 * 256.0 / size; });
  EXPECT_EQ(outcome.size, 256);
  EXPECT_EQ(outcome.tried, std::set<int64_t>({128, 256}));
}

TEST(StackSizeSearch, ALittleFasterIsNotWorthMoreStacks) {
  const Outcome outcome = Search(8, [](int64_t size) { return size == 8 ? 0.01 : 0.0099; });
  EXPECT_EQ(outcome.size, 8);
}

TEST(StackSizeSearch, StepsThatWereDisturbedDoNotCount) {
  int step = 0;
  const Outcome outcome = Search(2, [&](int64_t size) {
    const double undisturbed = size == 2 ? 0.01 : 0.02;
    return ++step % 3 == 0 ? undisturbed : 10 * undisturbed;
  });
  EXPECT_EQ(outcome.size, 2);
}

}  // namespace
}  // namespace modlab
