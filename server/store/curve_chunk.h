// A stretch of one curve as one blob: its points in columns, a column for each metric.
//
// Exact: what is read is what was written, the order of a point's values and each bit of
// them included. Only fields that this version of CurvePoint does not have are lost.
//
// Pure and thread-safe.

#ifndef MODLAB_SERVER_STORE_CURVE_CHUNK_H_
#define MODLAB_SERVER_STORE_CURVE_CHUNK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Points that one chunk may have.
inline constexpr size_t kChunkPointsMax = 4096;

// `points` are by ascending iteration, at most kChunkPointsMax.
std::string EncodeChunk(const std::vector<const v1::CurvePoint*>& points);

// Adds the chunk's points to `points`. False: it is damaged, and nothing was added.
bool DecodeChunk(absl::string_view chunk, std::vector<v1::CurvePoint>* points);

// What a curve says of one metric.
struct MetricCurve {
  std::vector<int64_t> iterations;
  std::vector<double> values;
};

// Adds what the chunk's points say of `metric`; the first value where a point has several.
// Reads no other column. False: it is damaged.
bool DecodeMetric(absl::string_view chunk, v1::Metric metric, MetricCurve* curve);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_CURVE_CHUNK_H_
