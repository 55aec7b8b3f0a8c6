// Figures as pictures.
//
// Thread-safe.

#ifndef MODLAB_CLIENT_REPORT_DRAWING_H_
#define MODLAB_CLIENT_REPORT_DRAWING_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/report/figure.h"

namespace modlab {

// An SVG document of its own: panels in rows, one legend above all, the figure's
// title as the document's (shown by the page around it, not in the picture).
// Panels without data say so. Errors are CheckFigure's and RunGnuplot's.
absl::StatusOr<std::string> RenderSvg(const Figure& figure);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_DRAWING_H_
