// A report as one HTML page that needs nothing but itself: no script, no link
// outside, every picture inline. For screens and for paper.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_PAGE_H_
#define MODLAB_CLIENT_REPORT_PAGE_H_

#include <string>
#include <vector>

#include "client/report/figure.h"

namespace modlab {

// A figure as it stands on the page: "Figure 3. TITLE. CAPTION" below it, and its
// numbers in a table to unfold, of which the first 2,000 rows are there.
struct PageFigure {
  std::string title;
  std::string caption;
  // From RenderSvg: it goes into the page as it is, but for its ids.
  std::string svg;
  Sheet sheet;
  // The name of its numbers as a file ("fig1.csv"). They come with the page unless
  // they are long; the reader may save them.
  std::string csv_name;
  // What prints the numbers.
  std::vector<std::string> commands;
};

// A table that is always open.
struct PageTable {
  std::string title;
  Sheet sheet;
};

struct PageSection {
  std::string title;
  std::vector<std::string> paragraphs;
  std::vector<PageTable> tables;  // before the figures
  std::vector<PageFigure> figures;
};

struct Page {
  std::string title;
  std::vector<std::string> intro;  // paragraphs
  std::vector<PageSection> sections;
};

// The page in UTF-8, with a contents list of its sections. All text is escaped.
std::string Html(const Page& page);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_PAGE_H_
