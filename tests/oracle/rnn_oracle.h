// The RNN networks, written as naively as the formulas of docs/benchmark.md
// (section 2) read: one job, one step and one module after the other, nothing
// rearranged. Slow, and the measure of what lib/models computes.

#ifndef MODLAB_TESTS_ORACLE_RNN_ORACLE_H_
#define MODLAB_TESTS_ORACLE_RNN_ORACLE_H_

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "modlab/v1/job.pb.h"

namespace modlab {

struct RnnOracleOutput {
  at::Tensor prediction;  // [B, N, O]
  at::Tensor p;           // [B, N, M]; undefined for MONOLITHIC
};

// `parameters` are one job's tensors by name; `x` is [B, N, q + R]: inputs, one-hot
// rule.
RnnOracleOutput RnnOracle(const v1::JobConfig& config,
                          const std::map<std::string, at::Tensor>& parameters, const at::Tensor& x);

}  // namespace modlab

#endif  // MODLAB_TESTS_ORACLE_RNN_ORACLE_H_
