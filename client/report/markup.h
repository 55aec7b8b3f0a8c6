// HTML and SVG as text: escaping, and what is changed in the SVG that gnuplot
// writes.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_MARKUP_H_
#define MODLAB_CLIENT_REPORT_MARKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

// `text` as the content of an element or of a quoted attribute.
std::string MarkupText(absl::string_view text);

// A complete document of gnuplot's with our title; without the titles and names of
// its plots (browsers show titles as tooltips) and the version of gnuplot. INTERNAL
// if `svg` is not complete.
absl::StatusOr<std::string> TidySvg(absl::string_view svg, absl::string_view title);

// The <svg> element of a document, to stand within a page: every id in it, and
// every reference to one, begins with `prefix` (letters, digits and '-').
std::string InlineSvg(absl::string_view document, absl::string_view prefix);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_MARKUP_H_
