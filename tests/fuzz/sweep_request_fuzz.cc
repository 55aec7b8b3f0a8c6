// Submissions as a hostile client might send them: the text form of a
// CreateSweepRequest, and what ExtendSweep makes of it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "lib/config/sweep_spec.h"
#include "modlab/v1/sweep.pb.h"
#include "server/engine/sweep_plan.h"
#include "tests/fuzz/expect.h"
#include "tests/fuzz/quiet.h"

namespace {

constexpr double kPointsMax = 2000;

// A million points are allowed, and only take long.
bool IsLarge(const modlab::v1::SweepSpec& spec) {
  double points = 0;
  for (const modlab::v1::Grid& grid : spec.grids()) {
    double product = 1;
    for (const modlab::v1::Axis& axis : grid.axes()) product *= axis.values_size();
    points += product;
  }
  return points > kPointsMax && points <= static_cast<double>(modlab::kSweepJobsMax);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  modlab::QuietProtobuf();
  modlab::v1::CreateSweepRequest request;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!google::protobuf::TextFormat::ParseFromString(text, &request)) return 0;
  if (IsLarge(request.spec())) return 0;
  const auto plan = modlab::PlanSweep(request);
  if (!plan.ok()) {
    MODLAB_EXPECT(absl::IsInvalidArgument(plan.status()) ||
                  absl::IsResourceExhausted(plan.status()));
    return 0;
  }
  MODLAB_EXPECT(!plan->jobs.jobs.empty());
  for (const auto& job : plan->jobs.jobs) {
    MODLAB_EXPECT(job.job_key.size() == 32);
    MODLAB_EXPECT(job.shape < plan->jobs.shape_keys.size());
  }
  modlab::v1::Axis seeds;
  seeds.set_field("model_seed");
  seeds.add_values("12345");
  const auto extended = modlab::ExtendSpec(request.spec(), {seeds});
  MODLAB_EXPECT(extended.ok() || absl::IsResourceExhausted(extended.status()) ||
                absl::IsInvalidArgument(extended.status()));
  if (extended.ok() && !IsLarge(*extended)) {
    const auto jobs = modlab::ExpandSweep(*extended);
    if (jobs.ok()) MODLAB_EXPECT(jobs->size() >= plan->jobs.jobs.size());
  }
  return 0;
}
