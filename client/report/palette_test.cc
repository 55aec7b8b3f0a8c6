#include "client/report/palette.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace modlab {
namespace {

TEST(PaletteTest, ModelTypesKeepTheirColours) {
  const auto all = MakeStyles({"monolithic", "modular", "modular_op", "gt_modular", "random"});
  const auto some = MakeStyles({"new", "random", "modular"});
  EXPECT_EQ(all[4].rgb, some[1].rgb);
  EXPECT_EQ(all[1].rgb, some[2].rgb);
  EXPECT_EQ(all[1].mark, some[2].mark);
  EXPECT_TRUE(all[4].dashed);
}

TEST(PaletteTest, NoTwoOfAFigureLookAlike) {
  std::vector<std::string> names = {"monolithic", "modular", "modular_op", "gt_modular", "random"};
  for (int i = 0; i < 8; ++i) names.push_back(std::string(1, static_cast<char>('a' + i)));
  std::set<std::pair<uint32_t, bool>> looks;
  for (const Style& style : MakeStyles(names)) looks.emplace(style.rgb, style.dashed);
  EXPECT_EQ(looks.size(), names.size());
}

TEST(PaletteTest, HeatRunsFromWhiteToDark) {
  EXPECT_EQ(HeatColour(0), 0xFFFFFFU);
  EXPECT_EQ(HeatColour(-1), HeatColour(0));
  EXPECT_EQ(HeatColour(2), HeatColour(1));
  EXPECT_FALSE(IsDark(HeatColour(0)));
  EXPECT_TRUE(IsDark(HeatColour(1)));
  // Ever less green, so that it prints in grey as well.
  uint32_t green = 256;
  for (int i = 0; i <= 20; ++i) {
    const uint32_t now = HeatColour(i / 20.0) >> 8 & 0xFF;
    EXPECT_LT(now, green);
    green = now;
  }
}

}  // namespace
}  // namespace modlab
