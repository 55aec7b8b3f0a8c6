#include "server/queue/avoided.h"

#include <algorithm>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace modlab {

namespace {

struct Line {
  absl::string_view place;
  absl::string_view worker;
  WhyAvoided why = WhyAvoided::kAsked;
};

Line ReadLine(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '\t');
  Line line;
  line.place = parts[0];
  if (parts.size() != 3 || parts[2].empty()) return line;
  line.worker = parts[1];
  line.why = static_cast<WhyAvoided>(parts[2][0]);
  return line;
}

std::vector<Line> Read(absl::string_view avoided) {
  std::vector<Line> lines;
  for (absl::string_view text : absl::StrSplit(avoided, '\n', absl::SkipEmpty())) {
    lines.push_back(ReadLine(text));
  }
  return lines;
}

std::string Write(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) {
    absl::StrAppend(&text, line.place, "\t", line.worker, "\t",
                    std::string(1, static_cast<char>(line.why)), "\n");
  }
  return text;
}

}  // namespace

std::string AddAvoided(absl::string_view avoided, absl::string_view place, absl::string_view worker,
                       WhyAvoided why) {
  if (place.empty()) return std::string(avoided);
  std::vector<Line> lines = Read(avoided);
  const auto same = absl::c_find_if(
      lines, [&](const Line& line) { return line.place == place && line.worker == worker; });
  if (same == lines.end()) {
    lines.push_back({place, worker, why});
  } else if (same->why == WhyAvoided::kItFailed) {
    same->why = why;
  }
  if (lines.size() > kAvoidedMax) {
    const auto oldest =
        absl::c_find_if(lines, [](const Line& line) { return line.why != WhyAvoided::kAsked; });
    if (oldest != lines.end()) lines.erase(oldest);
  }
  return Write(lines);
}

std::string ForgetFailures(absl::string_view avoided) {
  if (avoided.empty()) return "";
  std::vector<Line> lines = Read(avoided);
  lines.erase(std::remove_if(lines.begin(), lines.end(),
                             [](const Line& line) { return line.why != WhyAvoided::kAsked; }),
              lines.end());
  return Write(lines);
}

Nearness NearnessTo(absl::string_view avoided, absl::string_view place, absl::string_view worker) {
  Nearness nearness;
  if (avoided.empty()) return nearness;
  for (const Line& line : Read(avoided)) {
    if (line.place != place) continue;
    nearness.degree = std::max(nearness.degree, line.worker == worker ? 2 : 1);
    nearness.strict = nearness.strict || line.why != WhyAvoided::kItFailed;
  }
  return nearness;
}

}  // namespace modlab
