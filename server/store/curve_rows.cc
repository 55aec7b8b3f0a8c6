#include "server/store/curve_rows.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace modlab {
namespace {

// Of a key; the rest is the job. Enough for the iterations that a job may have.
constexpr int kIterationBits = 27;
constexpr int64_t kIterationEnd = int64_t{1} << kIterationBits;
// A row that is as large, by its points or its bytes, is not appended to.
constexpr size_t kRowBytesMax = size_t{32} << 10;

int64_t Key(int64_t job_id, int64_t iteration) { return (job_id << kIterationBits) + iteration; }

absl::Status Damaged(const Connection& connection, int64_t job_id) {
  return absl::InternalError(absl::StrCat(connection.path(),
                                          " is damaged: a part of the curve of job ", job_id,
                                          " in it cannot be read"));
}

// About what it takes in a chunk, at most.
size_t BytesOf(const v1::CurvePoint& point) {
  return 16 + 10 * static_cast<size_t>(point.values_size()) +
         5 * static_cast<size_t>(point.activation().values_size());
}

using Points = std::vector<const v1::CurvePoint*>;

Points PointersTo(const std::vector<v1::CurvePoint>& points) {
  Points pointers;
  for (const v1::CurvePoint& point : points) pointers.push_back(&point);
  return pointers;
}

// New rows of ascending points.
absl::Status InsertRows(Connection* connection, int64_t job_id, const Points& points) {
  for (auto first = points.begin(); first != points.end();) {
    Points part;
    for (size_t bytes = 0; first != points.end() && part.size() < kRowPointsMax; ++first) {
      bytes += BytesOf(**first);
      if (!part.empty() && bytes > 2 * kRowBytesMax) break;
      part.push_back(*first);
    }
    const std::string chunk = EncodeChunk(part);
    absl::Status status =
        connection
            ->Prepare("INSERT INTO curve_chunks (key, last, points, chunk) VALUES (?, ?, ?, ?)")
            .Bind(Key(job_id, part.front()->iteration()))
            .Bind(part.back()->iteration())
            .Bind(static_cast<int64_t>(part.size()))
            .BindBlob(chunk)
            .Run();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RemoveRow(Connection* connection, int64_t key) {
  return connection->Prepare("DELETE FROM curve_chunks WHERE key = ?").Bind(key).Run();
}

struct Row {
  int64_t key = 0;  // 0: there is none
  int64_t last = -1;
  size_t count = 0;
  std::string chunk;
};

// The one that begins at `iteration`, or is the last before.
absl::StatusOr<Row> FindRow(Connection* connection, int64_t job_id, int64_t iteration) {
  Statement found = connection->Prepare(
      "SELECT key, last, points, chunk FROM curve_chunks WHERE key BETWEEN ? AND ?"
      "  ORDER BY key DESC LIMIT 1");
  const absl::StatusOr<bool> any = found.Bind(Key(job_id, 0)).Bind(Key(job_id, iteration)).Step();
  if (!any.ok()) return any.status();
  if (!*any) return Row();
  return Row{found.Int(0), found.Int(1), static_cast<size_t>(found.Int(2)),
             std::string(found.Blob(3))};
}

// Ascending points beyond `row`, the job's last.
absl::Status AppendToEnd(Connection* connection, int64_t job_id, const Row& row,
                         const Points& points) {
  if (row.key == 0 || row.count + points.size() > kRowPointsMax ||
      row.chunk.size() > kRowBytesMax) {
    return InsertRows(connection, job_id, points);
  }
  std::vector<v1::CurvePoint> there;
  if (!DecodeChunk(row.chunk, &there)) return Damaged(*connection, job_id);
  Points all = PointersTo(there);
  all.insert(all.end(), points.begin(), points.end());
  const std::string chunk = EncodeChunk(all);
  return connection
      ->Prepare("UPDATE curve_chunks SET last = ?, points = ?, chunk = ? WHERE key = ?")
      .Bind(all.back()->iteration())
      .Bind(static_cast<int64_t>(all.size()))
      .BindBlob(chunk)
      .Bind(row.key)
      .Run();
}

// A point that is not beyond the job's last, and may be there.
absl::Status Insert(Connection* connection, int64_t job_id, const v1::CurvePoint& point) {
  absl::StatusOr<Row> row = FindRow(connection, job_id, point.iteration());
  if (!row.ok()) return row.status();
  std::vector<v1::CurvePoint> there;
  if (row->key != 0 && !DecodeChunk(row->chunk, &there)) return Damaged(*connection, job_id);
  const auto at = std::lower_bound(
      there.begin(), there.end(), point.iteration(),
      [](const v1::CurvePoint& each, int64_t iteration) { return each.iteration() < iteration; });
  if (at != there.end() && at->iteration() == point.iteration()) return absl::OkStatus();
  there.insert(at, point);
  absl::Status status = row->key != 0 ? RemoveRow(connection, row->key) : absl::OkStatus();
  return status.ok() ? InsertRows(connection, job_id, PointersTo(there)) : status;
}

absl::Status ScanChunks(Connection* connection, int64_t job_id,
                        const std::function<bool(const Statement& row)>& visit) {
  Statement row = connection->Prepare(
      "SELECT chunk, key, last, points FROM curve_chunks WHERE key BETWEEN ? AND ? ORDER BY key");
  row.Bind(Key(job_id, 0)).Bind(Key(job_id, kIterationEnd - 1));
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    if (!visit(row)) return Damaged(*connection, job_id);
  }
}

}  // namespace

absl::Status AppendPoints(Connection* connection, int64_t job_id,
                          const std::vector<const v1::CurvePoint*>& points) {
  for (const v1::CurvePoint* point : points) {
    if (0 <= point->iteration() && point->iteration() < kIterationEnd) continue;
    return absl::InvalidArgumentError(absl::StrCat("iteration is ", point->iteration(),
                                                   "; allowed are 0 to ", kIterationEnd - 1));
  }
  if (points.empty()) return absl::OkStatus();
  const absl::StatusOr<Row> row = FindRow(connection, job_id, kIterationEnd - 1);
  if (!row.ok()) return row.status();
  int64_t last = row->last;
  const bool in_order = std::all_of(points.begin(), points.end(), [&](const auto* point) {
    return std::exchange(last, point->iteration()) < point->iteration();
  });
  if (in_order) return AppendToEnd(connection, job_id, *row, points);
  if (points.size() == 1) return Insert(connection, job_id, *points.front());
  for (const v1::CurvePoint* point : points) {
    absl::Status status = AppendPoints(connection, job_id, {point});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RemovePointsAfter(Connection* connection, int64_t job_id, int64_t iteration) {
  const int64_t kept = std::min(iteration, kIterationEnd - 1);
  absl::Status status = connection->Prepare("DELETE FROM curve_chunks WHERE key > ? AND key < ?")
                            .Bind(Key(job_id, kept))
                            .Bind(Key(job_id, kIterationEnd))
                            .Run();
  if (!status.ok() || kept < 0) return status;
  const absl::StatusOr<Row> row = FindRow(connection, job_id, kept);
  if (!row.ok()) return row.status();
  if (row->last <= kept) return absl::OkStatus();
  std::vector<v1::CurvePoint> there;
  if (!DecodeChunk(row->chunk, &there)) return Damaged(*connection, job_id);
  while (!there.empty() && there.back().iteration() > kept) there.pop_back();
  status = RemoveRow(connection, row->key);
  return status.ok() ? InsertRows(connection, job_id, PointersTo(there)) : status;
}

absl::StatusOr<int64_t> CountPoints(Connection* connection, int64_t job_id) {
  Statement count =
      connection->Prepare("SELECT sum(points) FROM curve_chunks WHERE key BETWEEN ? AND ?");
  const absl::StatusOr<bool> counted =
      count.Bind(Key(job_id, 0)).Bind(Key(job_id, kIterationEnd - 1)).Step();
  if (!counted.ok()) return counted.status();
  return count.Int(0);
}

absl::Status ReadPoints(Connection* connection, int64_t job_id,
                        std::vector<v1::CurvePoint>* points) {
  points->clear();
  return ScanChunks(connection, job_id,
                    [points](const Statement& row) { return DecodeChunk(row.Blob(0), points); });
}

absl::Status ReadMetric(Connection* connection, int64_t job_id, v1::Metric metric,
                        MetricCurve* curve) {
  curve->iterations.clear();
  curve->values.clear();
  return ScanChunks(connection, job_id,
                    [&](const Statement& row) { return DecodeMetric(row.Blob(0), metric, curve); });
}

absl::Status ScanCurveRows(Connection* connection, int64_t job_id,
                           const std::function<void(const CurveRow&)>& visit) {
  CurveRow curve_row;
  return ScanChunks(connection, job_id, [&](const Statement& row) {
    curve_row.first = row.Int(1) - Key(job_id, 0);
    curve_row.last = row.Int(2);
    curve_row.count = row.Int(3);
    curve_row.points.clear();
    const bool good = DecodeChunk(row.Blob(0), &curve_row.points);
    if (good) visit(curve_row);
    return good;
  });
}

absl::StatusOr<std::vector<int64_t>> FindStrayCurves(Connection* connection) {
  Statement row = connection->Prepare(
      "SELECT DISTINCT key >> 27 FROM curve_chunks"
      "  WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = key >> 27) LIMIT 1000");
  std::vector<int64_t> jobs;
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return jobs;
    jobs.push_back(row.Int(0));
  }
}

}  // namespace modlab
