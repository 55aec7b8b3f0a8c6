#include "client/extension.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace modlab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> Values(const std::string& word) {
  const auto axes = ParseExtension({word});
  EXPECT_TRUE(axes.ok()) << axes.status();
  if (!axes.ok() || axes->size() != 1) return {};
  return {(*axes)[0].values().begin(), (*axes)[0].values().end()};
}

std::string Error(const std::string& word) {
  const absl::Status status = ParseExtension({word}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << word;
  return std::string(status.message());
}

TEST(ExtensionTest, ValuesAndRanges) {
  EXPECT_THAT(Values("model_seed=5..9"), ElementsAre("5", "6", "7", "8", "9"));
  EXPECT_THAT(Values("model_seed=3,5..6,9"), ElementsAre("3", "5", "6", "9"));
  EXPECT_THAT(Values("model_seed=7..7"), ElementsAre("7"));
  EXPECT_THAT(Values("model=modular,gt-modular"), ElementsAre("modular", "gt-modular"));
  EXPECT_THAT(Values("learning_rate=1e-3, 2e-3"), ElementsAre("1e-3", "2e-3"));
}

TEST(ExtensionTest, OneAxisAField) {
  const auto axes = ParseExtension({"rules=4", "model_seed=1..2"});
  ASSERT_TRUE(axes.ok()) << axes.status();
  ASSERT_EQ(axes->size(), 2U);
  EXPECT_EQ((*axes)[0].field(), "rules");
  EXPECT_EQ((*axes)[1].field(), "model_seed");
}

TEST(ExtensionTest, MistakesAreNamed) {
  EXPECT_THAT(Error("model_seed"), StartsWith("\"model_seed\": expected FIELD=VALUE"));
  EXPECT_THAT(Error("model_seed="), HasSubstr("expected FIELD=VALUE"));
  EXPECT_THAT(Error("=5"), HasSubstr("expected FIELD=VALUE"));
  EXPECT_THAT(Error("model_sed=5"), HasSubstr("did you mean \"model_seed\"?"));
  EXPECT_THAT(Error("model_seed=five"), StartsWith("model_seed: \"five\" is not allowed"));
  EXPECT_THAT(Error("model_seed=5..x"), AllOf(HasSubstr("\"5..x\""), HasSubstr("FIRST..LAST")));
  EXPECT_THAT(Error("model_seed=.."), HasSubstr("is no range"));
  EXPECT_THAT(Error("learning_rate=0.1..0.3"), HasSubstr("is no range"));
  EXPECT_THAT(Error("model_seed=9..5"), HasSubstr("is empty: 9 is above 5"));
}

TEST(ExtensionTest, HugeRangesEndSoon) {
  EXPECT_EQ(Values("model_seed=1..1000000").size(), 1000000U);
  EXPECT_THAT(Error("model_seed=0..1000000"), HasSubstr("at most 1000000 jobs"));
  EXPECT_THAT(Error("model_seed=1..600000,1..600000"), HasSubstr("too many values"));
  EXPECT_THAT(Error("model_seed=-9223372036854775808..9223372036854775807"),
              HasSubstr("too many values"));
}

}  // namespace
}  // namespace modlab
