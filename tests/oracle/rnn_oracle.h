// The RNN networks, one step and one module after the other. Slow, and the measure
// of what lib/models computes.

#ifndef MODLAB_TESTS_ORACLE_RNN_ORACLE_H_
#define MODLAB_TESTS_ORACLE_RNN_ORACLE_H_

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "modlab/v1/job.pb.h"
#include "tests/oracle/oracle_test_case.h"

namespace modlab {

// An Oracle.
OracleOutput RnnOracle(const v1::JobConfig& config,
                       const std::map<std::string, at::Tensor>& parameters, const at::Tensor& x);

}  // namespace modlab

#endif  // MODLAB_TESTS_ORACLE_RNN_ORACLE_H_
