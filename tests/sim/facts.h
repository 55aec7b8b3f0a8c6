// What was once seen on disk, and what may have become of it since. Pure.

#ifndef MODLAB_TESTS_SIM_FACTS_H_
#define MODLAB_TESTS_SIM_FACTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "tests/sim/model.h"

namespace modlab {
namespace sim {

struct JobFacts {
  v1::Job job;
  std::vector<v1::CurvePoint> points;
  std::vector<v1::JobEvent> events;
};

// Each returns what is wrong, or "".

// A job by itself: its events are legal and lead to its state, its points and result
// are those of the undisturbed run, and were made by the attempts that could.
std::string CheckJob(const JobFacts& now, const Undisturbed& undisturbed);
// A job that was `before`, and is `now`: nothing was lost, changed or undone.
std::string CheckHistory(const JobFacts& before, const JobFacts& now);
// The same of a sweep.
std::string CheckSweepHistory(const v1::Sweep& before, const v1::Sweep& now);

// The attempt that made a point; 0 if it is not marked.
int32_t AttemptOf(const v1::CurvePoint& point);
// Without its mark.
v1::CurvePoint Unmarked(const v1::CurvePoint& point);

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_FACTS_H_
