// Counter-based random streams: what is drawn depends on a key and a position
// alone, never on what else was drawn before, by whom, or in which gang. This
// is what makes a result a function of its JobConfig (ARCHITECTURE.md).
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// 2011) gives the bits. Normal variates are made by Box-Muller from polynomials
// of our own, so that no libm, compiler or vector width changes them: the same
// bits on every x86-64 machine.
//
// All functions are pure and thread-safe.

#ifndef MODLAB_LIB_RULES_RANDOM_STREAM_H_
#define MODLAB_LIB_RULES_RANDOM_STREAM_H_

#include <cstdint>

namespace modlab {

// What a stream is for. Streams of different purposes are independent.
enum class StreamPurpose : uint32_t {
  kInitialWeights = 1,
  kTraining = 2,
  kEvaluation = 3,
  kFinalInDistribution = 4,
  kFinalOutOfDistribution = 5,
  kActivation = 6,
  kAdaptation = 7,
  kValidation = 8,
};

// Names a stream of one job.
struct StreamKey {
  StreamPurpose purpose;
  uint32_t data_seed;
  uint32_t model_seed;
};

// Each fills out[0, count) from block `block` of the stream: the block is the
// training step, the evaluation batch, or the parameter's index. `lane` keeps
// apart what is drawn in one block (first numbers, second numbers, rules).
// Equal arguments give equal numbers; a longer count only adds at the end.

// Uniform on (0, 1): (k + 1/2) 2^-23 for k in 0..2^23 - 1, so never 0 and never 1.
void FillUniform(const StreamKey& key, uint64_t block, uint32_t lane, int64_t count, float* out);

// Standard normal; values lie within -5.8 and 5.8.
void FillNormal(const StreamKey& key, uint64_t block, uint32_t lane, int64_t count, float* out);

// Uniform on {0, ..., limit - 1}; 1 <= limit <= 65536.
void FillIndex(const StreamKey& key, uint64_t block, uint32_t lane, int32_t limit, int64_t count,
               int32_t* out);

// Index i with probability proportional to weights[i]; weights are not negative
// and not all zero.
void FillWeightedIndex(const StreamKey& key, uint64_t block, uint32_t lane, const double* weights,
                       int32_t limit, int64_t count, int32_t* out);

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_RANDOM_STREAM_H_
