#include "lib/metrics/assignment.h"

#include <cstddef>
#include <limits>
#include <vector>

namespace modlab {

std::vector<int> MaximumAssignment(const std::vector<double>& value, int size) {
  // The shortest-augmenting-path form of the method, on costs -value. Rows and
  // columns count from 1; column 0 stands for the row being placed.
  const auto n = static_cast<size_t>(size);
  const auto cost = [&](size_t row, size_t column) { return -value[(row - 1) * n + (column - 1)]; };
  std::vector<double> row_potential(n + 1, 0.0);
  std::vector<double> column_potential(n + 1, 0.0);
  std::vector<size_t> row_of(n + 1, 0);  // of a column; 0: free
  for (size_t new_row = 1; new_row <= n; ++new_row) {
    // Grow a tree of tight edges from the new row until it meets a free column.
    std::vector<double> slack(n + 1, std::numeric_limits<double>::infinity());
    std::vector<size_t> parent(n + 1, 0);
    std::vector<bool> in_tree(n + 1, false);
    row_of[0] = new_row;
    size_t column = 0;
    while (row_of[column] != 0) {
      in_tree[column] = true;
      const size_t row = row_of[column];
      double delta = std::numeric_limits<double>::infinity();
      size_t nearest = 0;
      for (size_t j = 1; j <= n; ++j) {
        if (in_tree[j]) continue;
        const double reduced = cost(row, j) - row_potential[row] - column_potential[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          parent[j] = column;
        }
        if (slack[j] < delta) {
          delta = slack[j];
          nearest = j;
        }
      }
      for (size_t j = 0; j <= n; ++j) {
        if (in_tree[j]) {
          row_potential[row_of[j]] += delta;
          column_potential[j] -= delta;
        } else {
          slack[j] -= delta;
        }
      }
      column = nearest;
    }
    // Swap along the path that led there.
    while (column != 0) {
      row_of[column] = row_of[parent[column]];
      column = parent[column];
    }
  }
  std::vector<int> column_of(n);
  for (size_t j = 1; j <= n; ++j) column_of[row_of[j] - 1] = static_cast<int>(j - 1);
  return column_of;
}

}  // namespace modlab
