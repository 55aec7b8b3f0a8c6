#include "client/text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "modlab/v1/results.pb.h"

namespace modlab {

int DisplayWidth(absl::string_view text) {
  int width = 0;
  for (char c : text) {
    // Bytes 10xxxxxx continue a code point.
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++width;
  }
  return width;
}

std::string CutText(absl::string_view text, int columns) {
  int width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 && ++width > columns) {
      return std::string(text.substr(0, i));
    }
  }
  return std::string(text);
}

std::string CountText(int64_t count) {
  std::string text = absl::StrCat(count);
  const size_t first = text[0] == '-' ? 1 : 0;
  for (size_t at = text.size(); at > first + 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string CountText(int64_t count, absl::string_view singular) {
  return absl::StrCat(CountText(count), " ", singular, count == 1 ? "" : "s");
}

std::string BytesText(int64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  auto size = static_cast<double>(bytes);
  absl::string_view unit;
  for (const absl::string_view next : {"KiB", "MiB", "GiB", "TiB", "PiB"}) {
    // 1023.96 would be told as 1024.0.
    if (size < 1023.95) break;
    size /= 1024;
    unit = next;
  }
  return absl::StrFormat("%.1f %s", size, unit);
}

std::string DurationText(double seconds) {
  const int64_t s = std::isfinite(seconds) ? std::llround(std::clamp(seconds, 0.0, 1e12)) : 0;
  if (s < 60) return absl::StrFormat("%ds", s);
  if (s < 3600) return absl::StrFormat("%dm %02ds", s / 60, s % 60);
  if (s < 86400) return absl::StrFormat("%dh %02dm", s / 3600, s % 3600 / 60);
  return absl::StrFormat("%dd %02dh", s / 86400, s % 86400 / 3600);
}

std::string TimeText(int64_t microseconds_since_epoch) {
  if (microseconds_since_epoch == 0) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMicros(microseconds_since_epoch),
                          absl::UTCTimeZone());
}

std::string NumberText(double value) {
  if (std::isnan(value)) return "-";
  const double magnitude = std::abs(value);
  if (magnitude >= 1000 && magnitude < 1e15) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.4g", value);
}

std::string MeanText(const v1::Summary& summary) {
  if (!summary.has_ci95_low()) return NumberText(summary.mean());
  const double half = (summary.ci95_high() - summary.ci95_low()) / 2;
  // Rounding noise of equal values is no interval.
  if (half <= std::abs(summary.mean()) * 1e-12) return NumberText(summary.mean()) + " ± 0";
  const int decimals = 1 - static_cast<int>(std::floor(std::log10(half)));
  if (decimals > 7) return absl::StrFormat("%.3g ± %.1e", summary.mean(), half);
  const int shown = std::max(decimals, 0);
  return absl::StrFormat("%.*f ± %.*f", shown, summary.mean(), shown, half);
}

std::vector<std::string> SplitList(absl::string_view text) {
  std::vector<std::string> parts;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

}  // namespace modlab
