#include "server/store/curve_chunk.h"

#include <algorithm>
#include <cstddef>

#include "server/store/columns.h"

namespace modlab {
namespace {

// A chunk is
//
//   the number of points; their iterations;
//   the number of columns; each a metric, the number of bytes that follow, in which points
//     it is, and its values there;
//   which points have an activation matrix; rules, modules and sizes of these; their cells.
//
// A point's values are in the order of the columns. A metric that is in two orders, or
// twice in a point, has two columns.

struct Column {
  int metric = 0;
  std::vector<bool> there;
  std::vector<double> values;
};

// The columns of points, which are added in their order.
class Columns {
 public:
  void Add(const v1::CurvePoint& point) {
    size_t next = 0;
    for (const v1::MetricValue& value : point.values()) {
      const auto metric = static_cast<int>(value.metric());
      size_t at = next;
      while (at < columns_.size() && columns_[at].metric != metric) ++at;
      if (at == columns_.size()) {
        at = next;
        columns_.insert(columns_.begin() + static_cast<std::ptrdiff_t>(at), Column{metric, {}, {}});
      }
      Column& column = columns_[at];
      column.there.resize(points_, false);
      column.there.push_back(true);
      column.values.push_back(value.value());
      next = at + 1;
    }
    ++points_;
  }

  void Append(std::string* out) {
    AppendNumber(columns_.size(), out);
    std::string column_bytes;
    for (Column& column : columns_) {
      column.there.resize(points_, false);
      column_bytes.clear();
      AppendPresence(column.there, &column_bytes);
      AppendDoubles(column.values, &column_bytes);
      AppendNumber(static_cast<uint32_t>(column.metric), out);
      AppendNumber(column_bytes.size(), out);
      out->append(column_bytes);
    }
  }

 private:
  std::vector<Column> columns_;
  size_t points_ = 0;
};

// Activation matrices; cells differ from the cell at the same place in the one before.
struct Matrices {
  std::vector<bool> there;
  std::vector<int64_t> rules, modules, sizes;
  std::vector<float> cells;

  void Add(const v1::CurvePoint& point) {
    there.push_back(point.has_activation());
    if (!point.has_activation()) return;
    const v1::ActivationMatrix& matrix = point.activation();
    rules.push_back(matrix.rules());
    modules.push_back(matrix.modules());
    sizes.push_back(matrix.values_size());
    cells.insert(cells.end(), matrix.values().begin(), matrix.values().end());
  }

  size_t period() const { return sizes.empty() ? 0 : static_cast<size_t>(sizes.front()); }

  void Append(std::string* out) const {
    AppendPresence(there, out);
    AppendIntegers(rules, out);
    AppendIntegers(modules, out);
    AppendIntegers(sizes, out);
    AppendFloats(cells, period(), out);
  }

  void Read(size_t points, ColumnReader* reader) {
    reader->ReadPresence(points, &there);
    const auto count = static_cast<size_t>(std::count(there.begin(), there.end(), true));
    reader->ReadIntegers(count, &rules);
    reader->ReadIntegers(count, &modules);
    reader->ReadIntegers(count, &sizes);
    size_t all = 0;
    const size_t cells_max = 2 * reader->bytes_left();  // beyond this reading them fails
    for (const int64_t size : sizes) {
      all += std::min(size < 0 ? cells_max + 1 : static_cast<size_t>(size), cells_max + 1);
    }
    reader->ReadFloats(all, period(), &cells);
  }
};

size_t ReadCount(ColumnReader* reader) {
  return static_cast<size_t>(std::min<uint64_t>(reader->ReadNumber(), kChunkPointsMax + 1));
}

}  // namespace

std::string EncodeChunk(const std::vector<const v1::CurvePoint*>& points) {
  std::vector<int64_t> iterations;
  Columns columns;
  Matrices matrices;
  for (const v1::CurvePoint* point : points) {
    iterations.push_back(point->iteration());
    columns.Add(*point);
    matrices.Add(*point);
  }
  std::string chunk;
  AppendNumber(points.size(), &chunk);
  AppendIntegers(iterations, &chunk);
  columns.Append(&chunk);
  matrices.Append(&chunk);
  return chunk;
}

bool DecodeChunk(absl::string_view chunk, std::vector<v1::CurvePoint>* points) {
  ColumnReader reader(chunk);
  const size_t count = ReadCount(&reader);
  if (count > kChunkPointsMax) return false;
  std::vector<int64_t> iterations;
  reader.ReadIntegers(count, &iterations);
  const size_t old = points->size();
  points->resize(old + count);
  for (size_t i = 0; i < iterations.size(); ++i) (*points)[old + i].set_iteration(iterations[i]);
  std::vector<bool> there;
  std::vector<double> values;
  uint64_t columns = reader.ReadNumber();
  for (; reader.ok() && columns > 0; --columns) {
    const auto metric = static_cast<v1::Metric>(static_cast<uint32_t>(reader.ReadNumber()));
    ColumnReader column = reader.Part(reader.ReadNumber());
    column.ReadPresence(count, &there);
    column.ReadDoubles(static_cast<size_t>(std::count(there.begin(), there.end(), true)), &values);
    if (!column.done()) break;
    size_t next = 0;
    for (size_t i = 0; i < count; ++i) {
      if (!there[i]) continue;
      v1::MetricValue* value = (*points)[old + i].add_values();
      value->set_metric(metric);
      value->set_value(values[next++]);
    }
  }
  Matrices matrices;
  if (columns == 0) matrices.Read(count, &reader);
  if (columns > 0 || !reader.done()) {
    points->resize(old);
    return false;
  }
  size_t matrix = 0;
  const float* cell = matrices.cells.data();
  for (size_t i = 0; i < count; ++i) {
    if (!matrices.there[i]) continue;
    v1::ActivationMatrix* activation = (*points)[old + i].mutable_activation();
    activation->set_rules(static_cast<int32_t>(matrices.rules[matrix]));
    activation->set_modules(static_cast<int32_t>(matrices.modules[matrix]));
    const float* const end = cell + matrices.sizes[matrix++];
    activation->mutable_values()->Add(cell, end);
    cell = end;
  }
  return true;
}

bool DecodeMetric(absl::string_view chunk, v1::Metric metric, MetricCurve* curve) {
  ColumnReader reader(chunk);
  const size_t count = ReadCount(&reader);
  if (count > kChunkPointsMax) return false;
  std::vector<int64_t> iterations;
  reader.ReadIntegers(count, &iterations);
  std::vector<bool> there;
  std::vector<double> values;
  std::vector<double> found;  // by point, where `known`
  std::vector<bool> known;
  for (uint64_t columns = reader.ReadNumber(); reader.ok() && columns > 0; --columns) {
    const auto of = static_cast<v1::Metric>(static_cast<uint32_t>(reader.ReadNumber()));
    ColumnReader column = reader.Part(reader.ReadNumber());
    if (of != metric) continue;
    column.ReadPresence(count, &there);
    column.ReadDoubles(static_cast<size_t>(std::count(there.begin(), there.end(), true)), &values);
    if (!column.done()) return false;
    found.resize(count);
    known.resize(count, false);
    size_t next = 0;
    for (size_t i = 0; i < count; ++i) {
      if (!there[i]) continue;
      if (!known[i]) found[i] = values[next];
      known[i] = true;
      ++next;
    }
  }
  if (!reader.ok()) return false;
  for (size_t i = 0; i < known.size(); ++i) {
    if (!known[i]) continue;
    curve->iterations.push_back(iterations[i]);
    curve->values.push_back(found[i]);
  }
  return true;
}

}  // namespace modlab
