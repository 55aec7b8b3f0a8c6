#include "client/report/markup.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "client/report/gnuplot.h"

namespace modlab {
namespace {

// Calls visit(tag) for each tag and text(content) for what is between them, in
// their order. gnuplot writes every < of a text as &lt;.
template <typename Tag, typename Content>
void ForEachPart(absl::string_view markup, const Tag& tag, const Content& content) {
  while (!markup.empty()) {
    const size_t begin = std::min(markup.find('<'), markup.size());
    if (begin > 0) content(markup.substr(0, begin));
    markup.remove_prefix(begin);
    const size_t length = std::min(markup.find('>'), markup.size() - 1) + 1;
    if (markup.empty()) return;
    tag(markup.substr(0, length));
    markup.remove_prefix(length);
  }
}

}  // namespace

std::string MarkupText(absl::string_view text) {
  return absl::StrReplaceAll(
      PlainText(text),
      {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

absl::StatusOr<std::string> TidySvg(absl::string_view svg, absl::string_view title) {
  if (!absl::StrContains(svg, "<svg") || !absl::StrContains(svg, "</svg>")) {
    return absl::InternalError("gnuplot wrote no complete SVG document");
  }
  std::string tidy;
  bool skipping = false;
  const auto tag = [&](absl::string_view text) {
    const bool begins = absl::StartsWith(text, "<title") || absl::StartsWith(text, "<desc");
    const bool ends = absl::StartsWith(text, "</title") || absl::StartsWith(text, "</desc");
    if (begins || ends) {
      skipping = begins;
    } else if (absl::StartsWith(text, "<g id=\"gnuplot_plot_")) {
      tidy += "<g>";
    } else {
      absl::StrAppend(&tidy, text);
    }
    if (absl::StartsWith(text, "<svg")) {
      absl::StrAppend(&tidy, "\n<title>", MarkupText(title), "</title>");
    }
  };
  const auto content = [&](absl::string_view text) {
    if (!skipping) absl::StrAppend(&tidy, text);
  };
  ForEachPart(svg, tag, content);
  return tidy;
}

std::string InlineSvg(absl::string_view document, absl::string_view prefix) {
  const size_t begin = document.find("<svg");
  if (begin == absl::string_view::npos) return "";
  std::vector<std::pair<std::string, std::string>> changes;
  for (const char* quote : {"\"", "'"}) {
    changes.emplace_back(absl::StrCat(" id=", quote), absl::StrCat(" id=", quote, prefix));
    changes.emplace_back(absl::StrCat("href=", quote, "#"),
                         absl::StrCat("href=", quote, "#", prefix));
  }
  changes.emplace_back("url(#", absl::StrCat("url(#", prefix));
  std::string svg;
  ForEachPart(
      document.substr(begin),
      [&](absl::string_view tag) { absl::StrAppend(&svg, absl::StrReplaceAll(tag, changes)); },
      [&](absl::string_view content) { absl::StrAppend(&svg, content); });
  return svg;
}

}  // namespace modlab
