// What panels with axes have in common: rulers that their intervals do not
// stretch too far, titles and labels around the plot.
//
// Pure, but for what it draws; thread-safe on canvases of one's own.

#ifndef MODLAB_CLIENT_REPORT_PANEL_FRAME_H_
#define MODLAB_CLIENT_REPORT_PANEL_FRAME_H_

#include <string>
#include <vector>

#include "client/report/axis.h"
#include "client/report/canvas.h"
#include "client/report/figure.h"
#include "client/report/panel.h"

namespace modlab {

// The ruler of `estimates` on an axis `height` pixels long. An interval much wider than the values'
// own spread (that of two jobs may be) is cut rather than flattening all else.
Ruler EstimateRuler(const Axis& axis, const std::vector<Estimate>& estimates, double height);

// Whether the estimate can be drawn on this ruler at all.
bool IsDrawn(const Ruler& ruler, double value);

// `estimate` with its interval within the ruler; at its value where it has none.
Estimate Clip(const Ruler& ruler, const Estimate& estimate);

bool HasInterval(const Estimate& estimate);

// The room that the labels of a vertical ruler take.
double LabelRoom(const Ruler& ruler);

// The room above a plot for its title.
double TitleRoom(const std::string& title);

// The title above `box`, and the side label at `side_x` if that is not below 0.
void DrawFrame(const std::string& title, const std::string& side_label, const Box& box,
               double side_x, Canvas* canvas);

// Says in `box` that there is nothing to see.
void DrawNoData(const Box& box, Canvas* canvas);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_PANEL_FRAME_H_
