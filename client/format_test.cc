#include "client/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace modlab {
namespace {

std::string Written(Format format, const std::vector<std::vector<Cell>>& rows) {
  std::ostringstream out;
  RowWriter writer(format, {"name", "n", "x"}, &out);
  for (const std::vector<Cell>& row : rows) writer.Add(row);
  writer.Finish();
  return out.str();
}

const std::vector<std::vector<Cell>> kRows = {
    {std::string("a,\"b\""), int64_t{7}, 0.1},
    {std::string("plain"), std::monostate(), NAN},
};

TEST(FormatTest, JsonIsAnArrayOfFlatObjectsInColumnOrder) {
  const std::string text = Written(Format::kJson, kRows);
  EXPECT_EQ(text,
            "[\n"
            "  {\"name\":\"a,\\\"b\\\"\",\"n\":7,\"x\":0.1},\n"
            "  {\"name\":\"plain\",\"n\":null,\"x\":null}\n"
            "]\n");
  EXPECT_EQ(nlohmann::json::parse(Written(Format::kJson, {})).size(), 0U);
}

TEST(FormatTest, JsonSurvivesAnyBytesAndNumbers) {
  const auto parsed = nlohmann::json::parse(
      Written(Format::kJson, {{std::string("\xff\n\x01"), std::numeric_limits<int64_t>::max(),
                               std::numeric_limits<double>::infinity()}}));
  EXPECT_EQ(parsed[0]["n"].get<int64_t>(), std::numeric_limits<int64_t>::max());
  EXPECT_TRUE(parsed[0]["x"].is_null());
}

TEST(FormatTest, CsvQuotesAndEndsLinesAsRfc4180) {
  EXPECT_EQ(Written(Format::kCsv, kRows),
            "name,n,x\r\n"
            "\"a,\"\"b\"\"\",7,0.1\r\n"
            "plain,,\r\n");
  EXPECT_EQ(Written(Format::kCsv, {}), "name,n,x\r\n");
}

TEST(FormatTest, CsvHasTheNumbersOfJson) {
  const std::vector<std::vector<Cell>> row = {{std::string(), int64_t{100000}, 100000.0}};
  EXPECT_EQ(Written(Format::kCsv, row), "name,n,x\r\n,100000,100000.0\r\n");
  EXPECT_NE(Written(Format::kJson, row).find("\"n\":100000,\"x\":100000.0}"), std::string::npos);
}

TEST(FormatTest, CsvNumbersReadBackExactly) {
  const double value = 0.1 + 0.2;
  const std::string text = Written(Format::kCsv, {{std::string(), int64_t{1}, value}});
  const std::string word = text.substr(text.rfind(',') + 1);
  EXPECT_EQ(std::stod(word), value);
}

TEST(FormatTest, TableAlignsNumbersRight) {
  EXPECT_EQ(Written(Format::kTable, kRows),
            "name   n    x\n"
            "─────────────\n"
            "a,\"b\"  7  0.1\n"
            "plain  -    -\n");
}

TEST(FormatTest, WordsOfNumberFieldsAreNumbers) {
  EXPECT_EQ(WordCell("rules", "8"), Cell(int64_t{8}));
  EXPECT_EQ(WordCell("learning_rate", "1e-4"), Cell(1e-4));
  EXPECT_EQ(WordCell("model", "gt_modular"), Cell(std::string("gt_modular")));
  EXPECT_EQ(WordCell("modules", ""), Cell());
}

TEST(FormatTest, ARecordReadsFromTopToBottom) {
  std::ostringstream out;
  WriteRecord(Format::kTable, {"id", "state", "worker"},
              {int64_t{3}, std::string("queued"), std::monostate()}, &out);
  EXPECT_EQ(out.str(), "id      3\nstate   queued\n");
}

TEST(FormatTest, ColumnsMayHideWhereTheyAreEmpty) {
  const auto text = [](Format format, bool filled) {
    std::ostringstream out;
    RowWriter writer(format, {"a", "b", "c"}, &out);
    writer.HideIfEmpty({"b", "c"});
    writer.Add({int64_t{1}, Cell(), std::string("x")});
    std::vector<Cell> row = {int64_t{2}, Cell(), Cell()};
    if (filled) row[1] = int64_t{3};
    writer.Add(row);
    writer.Finish();
    return out.str();
  };
  EXPECT_EQ(text(Format::kTable, false), "a  c\n────\n1  x\n2  -\n");
  EXPECT_EQ(text(Format::kTable, true), "a  b  c\n───────\n1  -  x\n2  3  -\n");
  EXPECT_EQ(text(Format::kCsv, false), "a,b,c\r\n1,,x\r\n2,,\r\n");
}

}  // namespace
}  // namespace modlab
