#include "client/report/palette.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

namespace modlab {
namespace {

struct Owner {
  const char* name;
  Style style;
};

constexpr Owner kOwners[] = {
    {"monolithic", {0xD55E00, 5, false}}, {"modular", {0x0072B2, 7, false}},
    {"modular_op", {0x009E73, 9, false}}, {"gt_modular", {0xCC79A7, 13, false}},
    {"random", {0x6E6E6E, 11, true}},
};

// For other names, those without an owner first. Yellow, hard to see on white,
// comes last.
constexpr Style kFree[] = {
    {0xE69F00, 7, false},  {0x56B4E9, 5, false},  {0x000000, 9, false}, {0x0072B2, 13, false},
    {0x009E73, 11, false}, {0xD55E00, 15, false}, {0xCC79A7, 7, false}, {0xF0E442, 5, false},
};

struct Stop {
  double red, green, blue;
};
constexpr Stop kHeat[] = {{255, 255, 255}, {222, 235, 247}, {158, 202, 225},
                          {66, 146, 198},  {8, 81, 156},    {8, 48, 107}};

}  // namespace

std::vector<Style> MakeStyles(const std::vector<std::string>& names) {
  const auto owner_of = [](const std::string& name) {
    return std::find_if(std::begin(kOwners), std::end(kOwners),
                        [&](const Owner& owner) { return name == owner.name; });
  };
  std::vector<uint32_t> taken;
  for (const std::string& name : names) {
    const Owner* const owner = owner_of(name);
    if (owner != std::end(kOwners)) taken.push_back(owner->style.rgb);
  }
  std::vector<Style> free;
  for (const Style& style : kFree) {
    if (std::find(taken.begin(), taken.end(), style.rgb) == taken.end()) free.push_back(style);
  }
  std::vector<Style> styles;
  size_t next = 0;
  for (const std::string& name : names) {
    const Owner* const owner = owner_of(name);
    if (owner != std::end(kOwners)) {
      styles.push_back(owner->style);
      continue;
    }
    styles.push_back(free[next % free.size()]);
    styles.back().dashed = next / free.size() % 2 == 1;
    ++next;
  }
  return styles;
}

uint32_t HeatColour(double share) {
  constexpr int kSteps = static_cast<int>(std::size(kHeat)) - 1;
  const double at = std::clamp(share, 0.0, 1.0) * kSteps;
  const int low = std::min(static_cast<int>(at), kSteps - 1);
  const double part = at - low;
  const auto mix = [&](double Stop::*channel) {
    return static_cast<uint32_t>(
        std::lround((1 - part) * kHeat[low].*channel + part * kHeat[low + 1].*channel));
  };
  return mix(&Stop::red) << 16 | mix(&Stop::green) << 8 | mix(&Stop::blue);
}

bool IsDark(uint32_t rgb) {
  const uint32_t red = rgb >> 16 & 0xFF;
  const uint32_t green = rgb >> 8 & 0xFF;
  const uint32_t blue = rgb & 0xFF;
  return 299 * red + 587 * green + 114 * blue < 140 * 1000;
}

}  // namespace modlab
