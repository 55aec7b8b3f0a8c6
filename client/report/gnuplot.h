// gnuplot as a child process: a script in, an SVG document out.
//
// Thread-safe. No shell is involved, and no start-up file of the user's is read.

#ifndef MODLAB_CLIENT_REPORT_GNUPLOT_H_
#define MODLAB_CLIENT_REPORT_GNUPLOT_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace modlab {

// The most that gnuplot may write.
inline constexpr size_t kSvgBytesMax = size_t{32} << 20;

// What gnuplot writes to its output for `script`. NOT_FOUND says what to install
// where there is no gnuplot, DEADLINE_EXCEEDED that it took longer than `timeout`
// and was ended, RESOURCE_EXHAUSTED that it wrote too much, INTERNAL what it
// complained about.
absl::StatusOr<std::string> RunGnuplot(absl::string_view script,
                                       absl::Duration timeout = absl::Seconds(60));

// A string constant of gnuplot's in which nothing is interpreted. Control
// characters become blanks; bytes that are not UTF-8, and what XML forbids,
// U+FFFD.
std::string GnuplotString(absl::string_view text);

// A floating-point constant that reads back as `value`, in any locale; NaN where
// it is not finite.
std::string GnuplotNumber(double value);

// `text` without control characters and without bytes that are not UTF-8, as above.
std::string PlainText(absl::string_view text);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_GNUPLOT_H_
