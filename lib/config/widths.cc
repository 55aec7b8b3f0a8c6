#include "lib/config/widths.h"

#include <cmath>

namespace modlab {

int64_t HeadWidth(const v1::JobConfig& canonical) {
  return canonical.model_dim() / (int64_t{canonical.heads()} * canonical.modules());
}

int64_t ModuleHiddenWidth(const v1::JobConfig& canonical) {
  const int64_t e = canonical.encoder_dim(), A = canonical.model_dim();
  if (canonical.model() == v1::MONOLITHIC) return 2 * e;
  const int64_t H = canonical.heads(), M = canonical.modules();
  return 2 * e * (M * H * (A + e) + A) / (M * (A * (H + 1) + M * H * e));
}

int64_t CellWidth(const v1::JobConfig& canonical) {
  const double D = canonical.model_dim(), e = canonical.encoder_dim(), M = canonical.modules();
  if (canonical.model() == v1::MONOLITHIC) return canonical.model_dim();
  const double b = 4 * M * e + 1, a = 4 * M + 1;
  const double discriminant = b * b + 4 * a * (5 * D * D + D * (4 * e + 1));
  return static_cast<int64_t>((std::sqrt(discriminant) - b) / (2 * a));
}

}  // namespace modlab
