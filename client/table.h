// A table for people: a header, a rule, one line a row. Columns are as wide as
// their widest cell in code points of UTF-8; control characters become blanks.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_TABLE_H_
#define MODLAB_CLIENT_TABLE_H_

#include <string>
#include <vector>

namespace modlab {

struct Table {
  struct Column {
    std::string name;
    // Numbers line up at their right edge, and so does their header.
    bool right = false;
  };
  std::vector<Column> columns;
  // Each as long as columns.
  std::vector<std::vector<std::string>> rows;
};

// Ends with a line break; without columns it is empty.
std::string TableText(const Table& table);

}  // namespace modlab

#endif  // MODLAB_CLIENT_TABLE_H_
