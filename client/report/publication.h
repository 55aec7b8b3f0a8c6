// A report: sections of exhibits, drawn and written as a page with a file for each
// picture and each table of numbers.
//
// Thread-safe for different paths.

#ifndef MODLAB_CLIENT_REPORT_PUBLICATION_H_
#define MODLAB_CLIENT_REPORT_PUBLICATION_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/report/exhibit.h"
#include "client/report/page.h"

namespace modlab {

struct ReportSection {
  std::string title;
  std::vector<std::string> paragraphs;
  std::vector<PageTable> tables;
  std::vector<Exhibit> exhibits;
};

struct Report {
  std::string title;
  std::vector<std::string> intro;
  std::vector<ReportSection> sections;
};

// Draws every exhibit, then writes FIGURES/NAME.svg and FIGURES/NAME.csv, and last the
// page; none is ever seen half written. What an earlier report left in `figures` and
// this one lacks is removed (manifest.h); nothing is touched if anything cannot be
// drawn. Makes the directory `figures`, not its parents. Calls `say` with "figure 2 of
// 9: TITLE", and with what is removed. CANCELLED on Ctrl-C; else what RenderSvg says,
// or that something cannot be written.
absl::Status Publish(const Report& report, const std::string& page_path, const std::string& figures,
                     const std::function<void(const std::string&)>& say);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_PUBLICATION_H_
