// What the tests of lib/models against the oracles share: one gang at random
// weights and samples, in double, compared in every output and every gradient.

#ifndef MODLAB_TESTS_ORACLE_ORACLE_TEST_CASE_H_
#define MODLAB_TESTS_ORACLE_ORACLE_TEST_CASE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <ostream>
#include <random>
#include <string>

#include "modlab/v1/job.pb.h"

namespace modlab {

struct OracleOutput {
  at::Tensor prediction;  // [N, B, O]
  at::Tensor p;           // [N, B, M]; undefined for MONOLITHIC
};

// The networks of one architecture, written as naively as the formulas of
// docs/benchmark.md (section 2) read: one job, nothing rearranged. `parameters` are
// one job's tensors by name; `x` is [N, B, C + R], each token's numbers and its
// one-hot rule.
using Oracle = OracleOutput (*)(const v1::JobConfig& config,
                                const std::map<std::string, at::Tensor>& parameters,
                                const at::Tensor& x);

// What a parameterised test goes through.
struct OracleCase {
  v1::ModelType model;
  v1::Target target;
  v1::Scorer scorer = v1::SCORER_UNSPECIFIED;
};
void PrintTo(const OracleCase& c, std::ostream* out);

// low..high, both included.
int RandomBetween(int low, int high, std::mt19937* random);

// The extents of a batch.
struct OracleSizes {
  int64_t jobs = 1;     // J
  int64_t length = 1;   // N
  int64_t samples = 1;  // B
  int64_t inputs = 1;   // C
  int64_t outputs = 1;  // O
};

// Expects MakeModel(config) and `oracle` to agree, differences of the order of
// `tolerance` aside, for random weights and samples, which at::manual_seed chooses.
void ExpectAgreement(const v1::JobConfig& config, Oracle oracle, const OracleSizes& sizes,
                     double tolerance);

}  // namespace modlab

#endif  // MODLAB_TESTS_ORACLE_ORACLE_TEST_CASE_H_
