#include "tests/e2e/sqlite_file.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <string>

namespace modlab::e2e {
namespace {

void Run(const std::string& path, const std::string& sql,
         const std::function<void(sqlite3_stmt*)>& visit) {
  sqlite3* database = nullptr;
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr);
  sqlite3_busy_timeout(database, 10'000);
  if (code == SQLITE_OK) {
    code = sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr);
  }
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) visit(statement);
  }
  EXPECT_EQ(code, SQLITE_DONE) << path << ": " << sql << ": " << sqlite3_errmsg(database);
  sqlite3_finalize(statement);
  sqlite3_close(database);
}

}  // namespace

int64_t QueryNumber(const std::string& path, const std::string& sql) {
  int64_t number = -1;
  Run(path, sql, [&](sqlite3_stmt* row) { number = sqlite3_column_int64(row, 0); });
  return number;
}

void Execute(const std::string& path, const std::string& sql) {
  Run(path, sql, [](sqlite3_stmt*) {});
}

}  // namespace modlab::e2e
