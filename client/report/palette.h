// Colours and marks: those of Okabe and Ito, which colour-blind readers can tell
// apart, with a mark each for readers without colours.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_PALETTE_H_
#define MODLAB_CLIENT_REPORT_PALETTE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace modlab {

struct Style {
  uint32_t rgb = 0;  // 0xRRGGBB
  int mark = 7;      // a point type of gnuplot
  bool dashed = false;
};

// One style a name. The model types and `random` have theirs in every figure; the
// others take, in their order, colours that nobody else among `names` has.
std::vector<Style> MakeStyles(const std::vector<std::string>& names);

// From white at 0 to dark blue at 1; `share` is clamped to 0..1.
uint32_t HeatColour(double share);

// Whether white text is easier to read on `rgb` than black.
bool IsDark(uint32_t rgb);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_PALETTE_H_
