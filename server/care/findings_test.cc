#include "server/care/findings.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace modlab {
namespace {

class FindingsTest : public testing::Test {
 protected:
  std::vector<v1::AuditResponse> told_;
  Findings findings_{[this](const v1::AuditResponse& response) {
                       told_.push_back(response);
                       return told_.size() < 1000;
                     },
                     absl::Hours(1)};

  int Told() const {
    int count = 0;
    for (const v1::AuditResponse& response : told_) count += response.findings_size();
    return count;
  }
};

TEST_F(FindingsTest, OfAKindSoManyAreToldAndAllAreCounted) {
  constexpr int kMany = 2500;
  findings_.SetTotal(kMany);
  for (int i = 0; i < kMany; ++i) {
    findings_.Damage("one", absl::StrCat("job ", i), "is damaged");
    EXPECT_EQ(findings_.Advance(), absl::OkStatus());
  }
  findings_.Damage("other", "job 1", "is damaged");
  findings_.Incomplete("third", "job 2", "waits");
  EXPECT_EQ(findings_.Finish(), absl::OkStatus());
  EXPECT_EQ(Told(), Findings::kToldMax + 2);
  EXPECT_EQ(told_.back().summary().damaged(), kMany + 1);
  EXPECT_EQ(told_.back().summary().incomplete(), 1);
  for (const v1::AuditResponse& response : told_) EXPECT_LE(response.findings_size(), 200);
}

TEST_F(FindingsTest, ProgressIsToldNowAndThen) {
  findings_.SetTotal(100'000);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(findings_.Advance(), absl::OkStatus());
  EXPECT_GE(told_.size(), 50u);
  EXPECT_LE(told_.size(), 500u);
  int64_t done = 0;
  for (const v1::AuditResponse& response : told_) {
    EXPECT_GT(response.done(), done);
    EXPECT_FALSE(response.has_summary());
    done = response.done();
  }
}

TEST_F(FindingsTest, EndsWhenNobodyListens) {
  absl::Status status;
  int advanced = 0;
  while (status.ok() && advanced < 10'000) {
    status = findings_.Advance();
    ++advanced;
  }
  EXPECT_TRUE(absl::IsCancelled(status));
  EXPECT_EQ(told_.size(), 1000u);
}

TEST_F(FindingsTest, WhoListensTooSlowlyIsNotWaitedFor) {
  int told = 0;
  Findings findings(
      [&](const v1::AuditResponse&) {
        ++told;
        absl::SleepFor(absl::Milliseconds(5));
        return true;
      },
      absl::Milliseconds(20));
  absl::Status status;
  while (status.ok() && told < 100) status = findings.Advance();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_LE(told, 5);
}

}  // namespace
}  // namespace modlab
