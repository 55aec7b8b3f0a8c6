// How numbers, times and text look to people. Pure and thread-safe.

#ifndef MODLAB_CLIENT_TEXT_H_
#define MODLAB_CLIENT_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "modlab/v1/results.pb.h"

namespace modlab {

// Columns that UTF-8 `text` takes on a terminal, one a code point.
int DisplayWidth(absl::string_view text);

// The first `columns` of them.
std::string CutText(absl::string_view text, int columns);

// "12,340".
std::string CountText(int64_t count);

// "96 jobs", "1 job".
std::string CountText(int64_t count, absl::string_view singular);

// "512 B", "1.2 KiB", "34.5 GiB".
std::string BytesText(int64_t bytes);

// "8s", "2m 05s", "3h 07m", "2d 04h"; negative durations count as 0.
std::string DurationText(double seconds);

// "2024-05-01T12:00:03Z"; "" for 0.
std::string TimeText(int64_t microseconds_since_epoch);

// About four significant digits, no exponent between 1e-4 and 1e15.
std::string NumberText(double value);

// "0.123 ± 0.012": mean and half the width of its 95% interval, rounded to two
// digits of the latter; the mean alone where there is no interval.
std::string MeanText(const v1::Summary& summary);

// The parts of "a,b , c" without blanks; "" has none.
std::vector<std::string> SplitList(absl::string_view text);

}  // namespace modlab

#endif  // MODLAB_CLIENT_TEXT_H_
