// One model of rows, three ways to write them: a table for people, json (an
// array of flat objects, one a row) and csv (RFC 4180) for programs.
//
// Commands build rows and nothing else. Not thread-safe.

#ifndef MODLAB_CLIENT_FORMAT_H_
#define MODLAB_CLIENT_FORMAT_H_

#include <cstdint>
#include <ostream>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/table.h"

namespace modlab {

enum class Format { kTable, kJson, kCsv };

// monostate is a value that does not exist: null in json, empty in csv, "-" in
// a table. So are doubles that are NaN or infinite.
using Cell = std::variant<std::monostate, int64_t, double, std::string>;

// "" becomes a value that does not exist.
Cell TextCell(std::string text);

// The word of a JobConfig field: a number where the field is one, else a string.
Cell WordCell(absl::string_view field, const std::string& word);

// Writes rows as they come (json, csv) or at the end (table).
class RowWriter {
 public:
  // `out` must outlive the writer.
  RowWriter(Format format, std::vector<std::string> columns, std::ostream* out);

  // Leaves these columns out of a table in which no row has a value for them. json and
  // csv have them always.
  void HideIfEmpty(const std::vector<std::string>& columns);
  // `row` is as long as the columns.
  void Add(const std::vector<Cell>& row);
  // Call once, last.
  void Finish();

 private:
  void AddToTable(const std::vector<Cell>& row);
  void HideEmptyColumns();
  std::string JsonObject(const std::vector<Cell>& row) const;
  std::string CsvLine(const std::vector<Cell>& row) const;

  const Format format_;
  const std::vector<std::string> columns_;
  std::ostream* const out_;
  Table table_;
  std::set<std::string> hidden_if_empty_;
  bool first_ = true;
};

// One row to read from top to bottom in a table, as an array of one in json and
// csv. Values that do not exist are left out of the table.
void WriteRecord(Format format, const std::vector<std::string>& columns,
                 const std::vector<Cell>& row, std::ostream* out);

}  // namespace modlab

#endif  // MODLAB_CLIENT_FORMAT_H_
