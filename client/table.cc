#include "client/table.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/text.h"

namespace modlab {
namespace {

std::string OneLine(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
  return text;
}

void AppendLine(const std::vector<std::string>& cells, const Table& table,
                const std::vector<int>& widths, std::string* text) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += "  ";
    const std::string padding(static_cast<size_t>(widths[i] - DisplayWidth(cells[i])), ' ');
    line += table.columns[i].right ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  absl::StrAppend(text, line, "\n");
}

}  // namespace

std::string TableText(const Table& table) {
  if (table.columns.empty()) return "";
  std::vector<std::vector<std::string>> lines(1);
  for (const Table::Column& column : table.columns) lines[0].push_back(OneLine(column.name));
  for (const std::vector<std::string>& row : table.rows) {
    lines.emplace_back();
    for (const std::string& cell : row) lines.back().push_back(OneLine(cell));
  }
  std::vector<int> widths(table.columns.size(), 0);
  for (const std::vector<std::string>& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(line[i]));
  }
  std::string text;
  AppendLine(lines[0], table, widths, &text);
  for (size_t i = 0; i < widths.size(); ++i) {
    if (i > 0) text += "──";
    for (int n = 0; n < widths[i]; ++n) text += "─";
  }
  text += "\n";
  for (size_t i = 1; i < lines.size(); ++i) AppendLine(lines[i], table, widths, &text);
  return text;
}

}  // namespace modlab
