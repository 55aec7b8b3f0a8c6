#include "client/report/publication.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <ios>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/interrupt.h"
#include "client/report/drawing.h"
#include "client/report/figure.h"

namespace modlab {
namespace {

absl::Status CannotWrite(const std::string& path, const std::error_code& error) {
  return absl::InternalError(absl::StrCat("cannot write ", path, ": ", error.message()));
}

absl::Status WriteWhole(const std::string& path, const std::string& text) {
  // Not seen by whoever writes the same report at the same time.
  const std::string partial = absl::StrCat(path, ".", getpid(), ".part");
  errno = 0;
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  std::error_code error;
  if (!file) {
    error = std::error_code(errno, std::generic_category());
  } else {
    std::filesystem::rename(partial, path, error);
  }
  if (!error) return absl::OkStatus();
  std::remove(partial.c_str());
  return CannotWrite(path, error);
}

absl::StatusOr<PageFigure> Draw(const Exhibit& exhibit, const std::string& figures) {
  absl::StatusOr<std::string> svg = RenderSvg(exhibit.figure);
  if (!svg.ok()) return svg.status();
  PageFigure figure;
  figure.title = exhibit.figure.title;
  figure.caption = exhibit.caption;
  figure.svg = *std::move(svg);
  figure.sheet = MakeSheet(exhibit.figure);
  figure.csv_name = exhibit.name + ".csv";
  figure.commands = exhibit.commands;
  const std::string path = absl::StrCat(figures, "/", exhibit.name);
  absl::Status status = WriteWhole(path + ".svg", figure.svg);
  if (status.ok()) status = WriteWhole(path + ".csv", Csv(figure.sheet));
  if (!status.ok()) return status;
  return figure;
}

}  // namespace

absl::Status Publish(const Report& report, const std::string& page_path, const std::string& figures,
                     const std::function<void(const std::string&)>& before) {
  // Before the drawing, which takes long.
  const auto parent = std::filesystem::absolute(page_path).parent_path();
  std::error_code error;
  if (!std::filesystem::is_directory(parent, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write ", page_path, ": there is no directory ", parent.string()));
  }
  std::filesystem::create_directory(figures, error);
  if (error) return CannotWrite(figures, error);
  size_t total = 0;
  for (const ReportSection& section : report.sections) total += section.exhibits.size();
  Page page;
  page.title = report.title;
  page.intro = report.intro;
  size_t number = 0;
  for (const ReportSection& section : report.sections) {
    PageSection& shown = page.sections.emplace_back();
    shown.title = section.title;
    shown.paragraphs = section.paragraphs;
    shown.tables = section.tables;
    for (const Exhibit& exhibit : section.exhibits) {
      if (Interrupt::Requested()) return absl::CancelledError("interrupted");
      before(absl::StrCat("figure ", ++number, " of ", total, ": ", exhibit.figure.title));
      absl::StatusOr<PageFigure> figure = Draw(exhibit, figures);
      if (!figure.ok()) return figure.status();
      shown.figures.push_back(*std::move(figure));
    }
  }
  return WriteWhole(page_path, Html(page));
}

}  // namespace modlab
