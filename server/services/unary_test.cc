#include "server/services/unary.h"

#include <gtest/gtest.h>

#include <memory>

#include "absl/status/status.h"

namespace modlab {
namespace {

TEST(AnswerMemoryTest, IsSharedByAllAndGivenBack) {
  auto most = std::make_unique<AnswerMemory>();
  EXPECT_EQ(most->Hold(AnswerMemory::kBytesMax - 1000), absl::OkStatus());
  AnswerMemory little;
  EXPECT_EQ(little.Hold(1000), absl::OkStatus());
  {
    AnswerMemory more;
    EXPECT_TRUE(absl::IsResourceExhausted(more.Hold(1)));
  }
  AnswerMemory later;
  EXPECT_TRUE(absl::IsResourceExhausted(later.Hold(1))) << "what was refused is not given back";
  most.reset();
  EXPECT_EQ(later.Hold(AnswerMemory::kBytesMax - 1000), absl::OkStatus());
}

}  // namespace
}  // namespace modlab
