#include "client/table.h"

#include <gtest/gtest.h>

namespace modlab {
namespace {

TEST(TableTest, AlignsByCodePointsNotBytes) {
  Table table;
  table.columns = {{"model", false}, {"id", false}, {"n", true}};
  table.rows = {{"modular", "0.12 ± 0.01", "4"}, {"gt", "0.1", "12"}};
  EXPECT_EQ(TableText(table),
            "model    id            n\n"
            "────────────────────────\n"
            "modular  0.12 ± 0.01   4\n"
            "gt       0.1          12\n");
}

TEST(TableTest, ALineBreakInACellDoesNotBreakTheTable) {
  Table table;
  table.columns = {{"failure", false}};
  table.rows = {{"a\nb\x1b[2J"}};
  EXPECT_EQ(TableText(table), "failure\n───────\na b [2J\n");
}

TEST(TableTest, WithoutRowsOrColumns) {
  Table table;
  EXPECT_EQ(TableText(table), "");
  table.columns = {{"id", false}};
  EXPECT_EQ(TableText(table), "id\n──\n");
}

}  // namespace
}  // namespace modlab
