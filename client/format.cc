#include "client/format.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "client/text.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

constexpr char kNoValue[] = "-";

bool Exists(const Cell& cell) {
  if (const auto* number = std::get_if<double>(&cell)) return std::isfinite(*number);
  return !std::holds_alternative<std::monostate>(cell);
}

std::string CellText(const Cell& cell) {
  if (!Exists(cell)) return kNoValue;
  if (const auto* number = std::get_if<int64_t>(&cell)) return absl::StrCat(*number);
  if (const auto* number = std::get_if<double>(&cell)) return NumberText(*number);
  return std::get<std::string>(cell);
}

nlohmann::ordered_json CellJson(const Cell& cell) {
  if (!Exists(cell)) return nullptr;
  return std::visit(
      [](const auto& value) -> nlohmann::ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) {
          return nullptr;
        } else {
          return value;
        }
      },
      cell);
}

// Numbers as in json: the fewest digits that read back as the same.
std::string CsvText(const Cell& cell) {
  if (!Exists(cell)) return "";
  if (!std::holds_alternative<std::string>(cell)) return CellJson(cell).dump();
  const std::string& text = std::get<std::string>(cell);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

}  // namespace

Cell TextCell(std::string text) {
  if (text.empty()) return std::monostate();
  return text;
}

Cell WordCell(absl::string_view field, const std::string& word) {
  const auto* descriptor = v1::JobConfig::descriptor()->FindFieldByName(std::string(field));
  if (descriptor == nullptr || descriptor->enum_type() != nullptr) return TextCell(word);
  int64_t integer = 0;
  if (absl::SimpleAtoi(word, &integer)) return integer;
  double number = 0;
  if (absl::SimpleAtod(word, &number)) return number;
  return TextCell(word);
}

RowWriter::RowWriter(Format format, std::vector<std::string> columns, std::ostream* out)
    : format_(format), columns_(std::move(columns)), out_(out) {
  for (const std::string& column : columns_) table_.columns.push_back({column, true});
  if (format_ == Format::kJson) *out_ << "[";
  if (format_ == Format::kCsv) *out_ << CsvLine({columns_.begin(), columns_.end()});
}

void RowWriter::Add(const std::vector<Cell>& row) {
  switch (format_) {
    case Format::kTable:
      AddToTable(row);
      break;
    case Format::kJson:
      *out_ << (first_ ? "\n  " : ",\n  ") << JsonObject(row);
      break;
    case Format::kCsv:
      *out_ << CsvLine(row);
      break;
  }
  first_ = false;
}

void RowWriter::HideIfEmpty(const std::vector<std::string>& columns) {
  hidden_if_empty_.insert(columns.begin(), columns.end());
}

void RowWriter::HideEmptyColumns() {
  for (size_t i = table_.columns.size(); i-- > 0;) {
    if (hidden_if_empty_.count(table_.columns[i].name) == 0) continue;
    const bool empty = std::all_of(table_.rows.begin(), table_.rows.end(),
                                   [i](const auto& row) { return row[i] == kNoValue; });
    if (!empty) continue;
    const auto at = static_cast<std::ptrdiff_t>(i);
    table_.columns.erase(table_.columns.begin() + at);
    for (auto& row : table_.rows) row.erase(row.begin() + at);
  }
}

void RowWriter::Finish() {
  HideEmptyColumns();
  if (format_ == Format::kTable) *out_ << TableText(table_);
  if (format_ == Format::kJson) *out_ << (first_ ? "]\n" : "\n]\n");
}

void RowWriter::AddToTable(const std::vector<Cell>& row) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < row.size(); ++i) {
    if (std::holds_alternative<std::string>(row[i])) table_.columns[i].right = false;
    texts.push_back(CellText(row[i]));
  }
  table_.rows.push_back(std::move(texts));
}

std::string RowWriter::JsonObject(const std::vector<Cell>& row) const {
  auto object = nlohmann::ordered_json::object();
  for (size_t i = 0; i < row.size(); ++i) object[columns_[i]] = CellJson(row[i]);
  // Broken UTF-8 in a message must not take the other rows away.
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string RowWriter::CsvLine(const std::vector<Cell>& row) const {
  std::string line;
  for (size_t i = 0; i < row.size(); ++i) {
    absl::StrAppend(&line, i > 0 ? "," : "", CsvText(row[i]));
  }
  return line + "\r\n";
}

void WriteRecord(Format format, const std::vector<std::string>& columns,
                 const std::vector<Cell>& row, std::ostream* out) {
  if (format != Format::kTable) {
    RowWriter writer(format, columns, out);
    writer.Add(row);
    writer.Finish();
    return;
  }
  size_t width = 0;
  for (const std::string& column : columns) width = std::max(width, column.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    if (!Exists(row[i])) continue;
    *out << columns[i] << std::string(width + 2 - columns[i].size(), ' ') << CellText(row[i])
         << "\n";
  }
}

}  // namespace modlab
