#include "lib/train/adam_kernel.h"

#include <cmath>
#include <cstdint>

#include "lib/models/vector_math.h"

namespace modlab {

MODLAB_VECTOR_CLONES
void StepAdam(const AdamStep& step, int64_t count, const float* __restrict gradient,
              float* __restrict parameter, float* __restrict mean, float* __restrict mean_square) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = step.gradient_scale * gradient[i];
    const float m = step.beta1 * mean[i] + (1.0f - step.beta1) * g;
    const float v = step.beta2 * mean_square[i] + (1.0f - step.beta2) * (g * g);
    mean[i] = m;
    mean_square[i] = v;
    parameter[i] -= step.step_size * m / (step.root_scale * std::sqrt(v) + step.epsilon);
  }
}

}  // namespace modlab
