#include "server/store/migration_functions.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/sha256.h"
#include "modlab/v1/job.pb.h"
#include "server/store/curve_chunk.h"
#include "server/store/store.h"

namespace modlab {
namespace {

absl::string_view BlobOf(sqlite3_value* value) {
  const void* data = sqlite3_value_blob(value);
  return absl::string_view(static_cast<const char*>(data),
                           static_cast<size_t>(sqlite3_value_bytes(value)));
}

void ResultWeights(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  const absl::string_view blob = BlobOf(arguments[0]);
  v1::JobResult result;
  if (!result.ParseFromArray(blob.data(), static_cast<int>(blob.size()))) {
    return sqlite3_result_error(context, "damaged: a modlab.v1.JobResult in it cannot be read", -1);
  }
  const auto role = static_cast<ArtifactRole>(sqlite3_value_int(arguments[1]));
  const std::string& sha256 =
      role == ArtifactRole::kBest ? result.best().checkpoint_sha256() : result.checkpoint_sha256();
  if (!IsLowerHex(sha256, kSha256HexDigits)) return sqlite3_result_null(context);
  sqlite3_result_text64(context, sha256.data(), sha256.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void ArtifactBytes(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  const auto* data_dir = static_cast<const std::string*>(sqlite3_user_data(context));
  const absl::string_view sha256 = BlobOf(arguments[0]);
  struct stat file = {};
  if (!IsLowerHex(sha256, kSha256HexDigits) ||
      stat(absl::StrCat(*data_dir, "/artifacts/", sha256.substr(0, 2), "/", sha256).c_str(),
           &file) != 0) {
    return sqlite3_result_null(context);
  }
  sqlite3_result_int64(context, file.st_size);
}

// The points of an aggregate, made by its first step and deleted by its end.
using Points = std::vector<v1::CurvePoint>;

Points** PointsOf(sqlite3_context* context, int bytes) {
  return static_cast<Points**>(sqlite3_aggregate_context(context, bytes));
}

void AddPoint(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  Points** const points = PointsOf(context, sizeof(Points*));
  if (points == nullptr) return sqlite3_result_error_nomem(context);
  if (*points == nullptr) *points = new Points();
  const absl::string_view blob = BlobOf(arguments[0]);
  if (!(*points)->emplace_back().ParseFromArray(blob.data(), static_cast<int>(blob.size()))) {
    sqlite3_result_error(context, "damaged: a modlab.v1.CurvePoint in it cannot be read", -1);
  }
}

void EndCurveChunk(sqlite3_context* context) {
  Points** const made = PointsOf(context, 0);
  if (made == nullptr || *made == nullptr) return sqlite3_result_null(context);
  const std::unique_ptr<Points> points(*made);
  std::sort(points->begin(), points->end(), [](const v1::CurvePoint& a, const v1::CurvePoint& b) {
    return a.iteration() < b.iteration();
  });
  std::vector<const v1::CurvePoint*> pointers;
  for (const v1::CurvePoint& point : *points) pointers.push_back(&point);
  if (pointers.size() > kChunkPointsMax) {
    return sqlite3_result_error(context, "too many points for a chunk", -1);
  }
  const std::string chunk = EncodeChunk(pointers);
  sqlite3_result_blob64(context, chunk.data(), chunk.size(), SQLITE_TRANSIENT);
}

}  // namespace

absl::Status AddMigrationFunctions(const std::string& data_dir, Connection* connection) {
  absl::Status status = connection->AddFunction("result_weights", 2, ResultWeights, /*context=*/"");
  if (status.ok()) status = connection->AddFunction("artifact_bytes", 1, ArtifactBytes, data_dir);
  if (!status.ok()) return status;
  return connection->AddAggregate("curve_chunk", 1, AddPoint, EndCurveChunk);
}

}  // namespace modlab
