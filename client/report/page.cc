#include "client/report/page.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/format.h"
#include "client/report/figure.h"
#include "client/report/markup.h"
#include "client/text.h"

namespace modlab {
namespace {

constexpr size_t kRowsMax = 2000;
// Longer files of numbers are not in the page.
constexpr size_t kCsvBytesMax = size_t{1} << 18;

constexpr char kCss[] = R"css(
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 66rem; padding: 1.5rem 1.25rem 4rem; background: #fff; color: #222;
  font: 16px/1.5 Arial, Helvetica, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 0.75rem; padding-bottom: 0.25rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1rem; margin: 1.25rem 0 0; }
p, figcaption, nav { max-width: 46rem; }
a { color: #0b5394; }
nav { margin: 1.5rem 0; font-size: 0.95rem; }
nav ol { margin: 0.25rem 0 0; padding-left: 1.5rem; }
nav ul { list-style: none; margin: 0; padding-left: 0; color: #555; }
figure { margin: 1.75rem 0 2.25rem; }
.wide { overflow-x: auto; }
.wide svg { display: block; }
figcaption { margin: 0.6rem 0 0.4rem; font-size: 0.92rem; }
details { font-size: 0.85rem; }
code { font: 0.85rem/1.5 monospace; overflow-wrap: anywhere; }
summary { cursor: pointer; color: #555; }
table { border-collapse: collapse; margin: 0.6rem 0; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.7rem; text-align: left; white-space: nowrap; }
th { border-bottom: 1px solid #888; font-weight: 600; }
td { border-bottom: 1px solid #eee; }
.number { text-align: right; }
.scroll { max-height: 26rem; overflow: auto; }
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  figure { break-inside: avoid; }
  .wide { overflow: visible; }
  .wide svg { max-width: 100%; height: auto; }
  details:not([open]) { display: none; }
  .scroll { max-height: none; overflow: visible; }
}
)css";

std::string CellText(const Cell& cell) {
  if (const auto* count = std::get_if<int64_t>(&cell)) return absl::StrCat(*count);
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  const auto* number = std::get_if<double>(&cell);
  return number != nullptr && std::isfinite(*number) ? NumberText(*number) : "";
}

// Whether a column holds no text, and so stands at the right.
std::vector<bool> NumberColumns(const Sheet& sheet) {
  std::vector<bool> numbers(sheet.columns.size(), true);
  for (const auto& row : sheet.rows) {
    for (size_t i = 0; i < row.size() && i < numbers.size(); ++i) {
      if (std::holds_alternative<std::string>(row[i])) numbers[i] = false;
    }
  }
  return numbers;
}

std::string TableHtml(const Sheet& sheet, absl::string_view csv_name) {
  const std::vector<bool> numbers = NumberColumns(sheet);
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (size_t i = 0; i < sheet.columns.size(); ++i) {
    absl::StrAppend(&html, numbers[i] ? "<th class=\"number\">" : "<th>",
                    MarkupText(sheet.columns[i]), "</th>");
  }
  html += "</tr></thead><tbody>\n";
  const size_t rows = std::min(sheet.rows.size(), kRowsMax);
  for (size_t row = 0; row < rows; ++row) {
    html += "<tr>";
    for (size_t i = 0; i < sheet.columns.size() && i < sheet.rows[row].size(); ++i) {
      absl::StrAppend(&html, numbers[i] ? "<td class=\"number\">" : "<td>",
                      MarkupText(CellText(sheet.rows[row][i])), "</td>");
    }
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  if (rows < sheet.rows.size()) {
    absl::StrAppend(&html, "<p>",
                    CountText(static_cast<int64_t>(sheet.rows.size() - rows), "more row"),
                    csv_name.empty() ? "" : absl::StrCat(" in ", MarkupText(csv_name)), ".</p>\n");
  }
  return html;
}

// "Title." whatever the title ends with.
std::string Sentence(const std::string& title) {
  if (title.empty()) return "";
  return MarkupText(title) + (title.back() == '.' || title.back() == '?' ? "" : ".");
}

// A link to save the numbers by.
std::string CsvHtml(const PageFigure& figure) {
  const std::string csv = Csv(figure.sheet);
  if (figure.csv_name.empty() || csv.size() > kCsvBytesMax) return "";
  return absl::StrCat("<p><a download=\"", MarkupText(figure.csv_name),
                      "\" href=\"data:text/csv;charset=utf-8;base64,", absl::Base64Escape(csv),
                      "\">Save as ", MarkupText(figure.csv_name), "</a></p>\n");
}

std::string FigureHtml(const PageFigure& figure, int number) {
  std::string html = absl::StrCat(
      "<figure id=\"figure-", number, "\">\n<div class=\"wide\">",
      InlineSvg(figure.svg, absl::StrCat("f", number, "-")), "</div>\n<figcaption><b>", "Figure ",
      number, ". ", Sentence(figure.title), "</b> ", MarkupText(figure.caption), "</figcaption>\n");
  if (!figure.sheet.rows.empty()) {
    absl::StrAppend(&html, "<details><summary>Numbers (",
                    CountText(static_cast<int64_t>(figure.sheet.rows.size()), "row"),
                    ")</summary>\n", TableHtml(figure.sheet, figure.csv_name), CsvHtml(figure));
    if (!figure.commands.empty()) {
      html += "<p>Asked with";
      for (const std::string& command : figure.commands) {
        absl::StrAppend(&html, "<br><code>", MarkupText(command), "</code>");
      }
      html += "</p>\n";
    }
    html += "</details>\n";
  }
  return absl::StrCat(html, "</figure>\n");
}

std::string ContentsHtml(const Page& page) {
  if (page.sections.empty()) return "";
  std::string html = "<nav><b>Contents</b><ol>\n";
  int figure = 0;
  for (size_t i = 0; i < page.sections.size(); ++i) {
    absl::StrAppend(&html, "<li><a href=\"#section-", i + 1, "\">",
                    MarkupText(page.sections[i].title), "</a>");
    if (!page.sections[i].figures.empty()) html += "<ul>";
    for (const PageFigure& shown : page.sections[i].figures) {
      ++figure;
      absl::StrAppend(&html, "<li><a href=\"#figure-", figure, "\">Figure ", figure, "</a> ",
                      MarkupText(shown.title), "</li>");
    }
    html += page.sections[i].figures.empty() ? "</li>\n" : "</ul></li>\n";
  }
  return absl::StrCat(html, "</ol></nav>\n");
}

}  // namespace

std::string Html(const Page& page) {
  const std::string title = MarkupText(page.title);
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      title, "</title>\n<style>", kCss, "</style>\n</head>\n<body>\n<h1>", title, "</h1>\n");
  for (const std::string& paragraph : page.intro) {
    absl::StrAppend(&html, "<p>", MarkupText(paragraph), "</p>\n");
  }
  html += ContentsHtml(page);
  int figure = 0;
  for (size_t i = 0; i < page.sections.size(); ++i) {
    const PageSection& section = page.sections[i];
    absl::StrAppend(&html, "<section id=\"section-", i + 1, "\">\n<h2>", i + 1, ". ",
                    MarkupText(section.title), "</h2>\n");
    for (const std::string& paragraph : section.paragraphs) {
      absl::StrAppend(&html, "<p>", MarkupText(paragraph), "</p>\n");
    }
    for (const PageTable& table : section.tables) {
      if (!table.title.empty()) absl::StrAppend(&html, "<h3>", MarkupText(table.title), "</h3>\n");
      html += TableHtml(table.sheet, "");
    }
    for (const PageFigure& shown : section.figures) html += FigureHtml(shown, ++figure);
    html += "</section>\n";
  }
  return absl::StrCat(html, "</body>\n</html>\n");
}

}  // namespace modlab
