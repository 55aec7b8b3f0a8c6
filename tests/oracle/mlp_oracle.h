// The MLP networks. Slow, and the measure of what lib/models computes.

#ifndef MODLAB_TESTS_ORACLE_MLP_ORACLE_H_
#define MODLAB_TESTS_ORACLE_MLP_ORACLE_H_

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "modlab/v1/job.pb.h"
#include "tests/oracle/oracle_test_case.h"

namespace modlab {

// An Oracle: one module after the other. A sample is one token: a, b, one-hot rule.
OracleOutput MlpOracle(const v1::JobConfig& config,
                       const std::map<std::string, at::Tensor>& parameters, const at::Tensor& x);

}  // namespace modlab

#endif  // MODLAB_TESTS_ORACLE_MLP_ORACLE_H_
