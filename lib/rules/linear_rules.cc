#include "lib/rules/linear_rules.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/rules/numpy_random.h"
#include "lib/rules/task.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

LinearRules::LinearRules(const v1::JobConfig& canonical)
    : labels_(canonical.target() == v1::CLASSIFICATION) {
  RandomState random(static_cast<uint32_t>(canonical.data_seed()));
  alpha_ = random.Normals(canonical.rules());
  beta_ = random.Normals(canonical.rules());
}

std::vector<Coefficients> LinearRules::coefficients() const {
  return {{"alpha", {count()}, alpha_}, {"beta", {count()}, beta_}};
}

float LinearRules::Target(int32_t rule, float a, float b) const {
  const auto c = static_cast<size_t>(rule);
  const double y = alpha_[c] * static_cast<double>(a) + beta_[c] * static_cast<double>(b);
  if (labels_) return y >= 0.0 ? 1.0F : 0.0F;
  return static_cast<float>(y);
}

}  // namespace modlab
