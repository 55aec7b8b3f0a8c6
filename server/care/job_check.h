// What must hold of one job alone: its config, its curve, its result.
//
// Pure and thread-safe.

#ifndef MODLAB_SERVER_CARE_JOB_CHECK_H_
#define MODLAB_SERVER_CARE_JOB_CHECK_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "modlab/v1/job.pb.h"
#include "server/care/findings.h"
#include "server/store/curve_rows.h"
#include "server/store/store.h"

namespace modlab {

// What artifacts a job refers to, in order.
using References = std::vector<std::pair<ArtifactRole, std::string>>;

// False where the config is so wrong that nothing else can be said of the job.
// `older`: made when this schema did not exist, so that its config may lack fields.
bool AuditConfig(const v1::Job& job, bool older, Findings* findings);

// Whether a job's points are those of its config: all of a finished job, the first
// without a gap of any other; and each has all metrics that it must have.
class CurveCheck {
 public:
  // The config is one that AuditConfig() let pass. Both must outlive the check.
  CurveCheck(const v1::Job& job, Findings* findings);

  // A row of the curve, as it is stored; ascending.
  void Add(const CurveRow& row);
  // After the last.
  void Finish();

 private:
  void Add(const v1::CurvePoint& point);

  const v1::Job& job_;
  Findings* const findings_;
  int64_t last_ = -1;
  std::vector<int64_t> expected_;
  std::vector<int64_t> found_;  // of these
  std::vector<int64_t> extra_;
};

// A finished job has a result, with all metrics; no other has one. True for a finished
// job whose result is as it must be.
bool AuditResult(const v1::Job& job, Findings* findings);

// What a job must refer to: the weights that its result names, or its checkpoint.
References ExpectedReferences(const v1::Job& job);

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_JOB_CHECK_H_
