#include "client/report/publication.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ios>
#include <map>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/interrupt.h"
#include "client/new_file.h"
#include "client/report/drawing.h"
#include "client/report/figure.h"
#include "client/report/manifest.h"
#include "lib/config/sha256.h"

namespace modlab {
namespace {

absl::Status CannotWrite(const std::string& path, const std::string& why) {
  return absl::InternalError(absl::StrCat("cannot write ", path, ": ", why));
}

// Gives `file` its content and its name, which is `path`.
absl::Status Write(const std::string& path, const std::string& text, NewFile* file) {
  errno = 0;
  std::ofstream out(file->partial(), std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  return out ? file->Commit() : CannotWrite(path, std::strerror(errno));
}

absl::Status WriteWhole(const std::string& path, const std::string& text) {
  const auto file = NewFile::Create(path);
  return file.ok() ? Write(path, text, file->get()) : file.status();
}

// Makes `files` all that reports have left in the directory.
absl::Status WriteFiles(const std::string& directory,
                        const std::map<std::string, std::string>& files,
                        const std::function<void(const std::string&)>& say) {
  Manifest manifest;
  for (const auto& [name, content] : files) manifest[name] = Sha256Hex(content);
  absl::Status status = RemoveStale(directory, manifest, say);
  const std::string head = directory + "/";
  // First, so that a report that is cut off leaves nothing that is not listed.
  if (status.ok()) status = WriteWhole(head + kManifestName, ManifestText(manifest));
  for (const auto& [name, content] : files) {
    if (status.ok()) status = WriteWhole(head + name, content);
  }
  return status;
}

absl::StatusOr<PageFigure> Draw(const Exhibit& exhibit) {
  absl::StatusOr<std::string> svg = RenderSvg(exhibit.figure);
  if (!svg.ok()) return svg.status();
  PageFigure figure;
  figure.title = exhibit.figure.title;
  figure.caption = exhibit.caption;
  figure.svg = *std::move(svg);
  figure.sheet = MakeSheet(exhibit.figure);
  figure.csv_name = exhibit.name + ".csv";
  figure.commands = exhibit.commands;
  return figure;
}

}  // namespace

absl::Status Publish(const Report& report, const std::string& page_path, const std::string& figures,
                     const std::function<void(const std::string&)>& say) {
  // Before the drawing, which takes long.
  const auto page_file = NewFile::Create(page_path);
  if (!page_file.ok()) return page_file.status();
  std::error_code error;
  std::filesystem::create_directory(figures, error);
  if (error) return CannotWrite(figures, error.message());
  size_t total = 0;
  for (const ReportSection& section : report.sections) total += section.exhibits.size();
  Page page;
  page.title = report.title;
  page.intro = report.intro;
  std::map<std::string, std::string> files;
  size_t number = 0;
  for (const ReportSection& section : report.sections) {
    PageSection& shown = page.sections.emplace_back();
    shown.title = section.title;
    shown.paragraphs = section.paragraphs;
    shown.tables = section.tables;
    for (const Exhibit& exhibit : section.exhibits) {
      if (Interrupt::Requested()) return absl::CancelledError("interrupted");
      say(absl::StrCat("figure ", ++number, " of ", total, ": ", exhibit.figure.title));
      absl::StatusOr<PageFigure> figure = Draw(exhibit);
      if (!figure.ok()) return figure.status();
      files[exhibit.name + ".svg"] = figure->svg;
      files[exhibit.name + ".csv"] = Csv(figure->sheet);
      shown.figures.push_back(*std::move(figure));
    }
  }
  if (const auto status = WriteFiles(figures, files, say); !status.ok()) return status;
  return Write(page_path, Html(page), page_file->get());
}

}  // namespace modlab
