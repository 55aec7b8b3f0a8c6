// Attention of section 2 and its gradient on the processor, for one job. Without
// LibTorch: numbers behind pointers.

#ifndef MODLAB_LIB_MODELS_ATTENTION_KERNEL_H_
#define MODLAB_LIB_MODELS_ATTENTION_KERNEL_H_

#include <cstdint>

namespace modlab {

// Samples that are computed side by side: of others as many cost as much.
constexpr int64_t kAttentionSamples = 16;

// T = length * B columns; token n of sample b is column n * B + b.
struct AttentionShape {
  int64_t modules = 1;  // M
  int64_t heads = 1;    // H, of each module
  int64_t width = 1;    // h, of a head
  int64_t length = 2;   // N, tokens of a sample; a token needs another one to attend to

  // A, rows of all queries; of all keys; of all values.
  int64_t queries() const { return modules * heads * width; }
  // Rows of `projected`: queries, keys, values (module by module, in it head by
  // head) and what each module is given of the token itself, h rows a module.
  int64_t projected_rows() const { return 3 * queries() + modules * width; }
  // Rows of `joined`: for each module its heads' outputs, then its part of the token.
  int64_t joined_rows() const { return queries() + modules * width; }
};

// `projected` [projected_rows(), T] -> `joined` [joined_rows(), T], whose rows are
// `joined_stride` apart. The weight of token j for token i != j is the softmax over j of query
// i times key j. Thread-safe. The bits depend on nothing but the arguments and the kind of
// processor.
void AttentionForward(const AttentionShape& shape, int64_t samples, const float* projected,
                      float* joined, int64_t joined_stride);
void AttentionForward(const AttentionShape& shape, int64_t samples, const double* projected,
                      double* joined, int64_t joined_stride);

// The gradient by `projected`, from that by `joined`, whose rows are `joined_stride` apart.
// Thread-safe.
void AttentionBackward(const AttentionShape& shape, int64_t samples, const float* projected,
                       const float* joined_gradient, int64_t joined_stride,
                       float* projected_gradient);
void AttentionBackward(const AttentionShape& shape, int64_t samples, const double* projected,
                       const double* joined_gradient, int64_t joined_stride,
                       double* projected_gradient);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_ATTENTION_KERNEL_H_
