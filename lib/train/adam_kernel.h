// One step of Adam for the numbers of one job, on the processor: one pass.

#ifndef MODLAB_LIB_TRAIN_ADAM_KERNEL_H_
#define MODLAB_LIB_TRAIN_ADAM_KERNEL_H_

#include <cstdint>

namespace modlab {

// With g the scaled gradient, m and v the running means of it and of its square:
//   m <- beta1 m + (1 - beta1) g      v <- beta2 v + (1 - beta2) g^2
//   parameter <- parameter - step_size m / (root_scale sqrt(v) + epsilon)
struct AdamStep {
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  float step_size = 0;
  float root_scale = 0;
  float gradient_scale = 1;
};

// Pure, thread-safe. Arrays of `count` numbers, which must not overlap.
void StepAdam(const AdamStep& step, int64_t count, const float* gradient, float* parameter,
              float* mean, float* mean_square);

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_ADAM_KERNEL_H_
