#include "lib/rules/mlp_task.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/rules/numpy_random.h"
#include "lib/rules/random_stream.h"

namespace modlab {
namespace {

// What is drawn in one block.
enum Lane : uint32_t { kFirstNumber = 0, kSecondNumber = 1, kRule = 2 };

}  // namespace

MlpTask::MlpTask(int rules, uint32_t data_seed) {
  RandomState random(data_seed);
  alpha_ = random.Normals(rules);
  beta_ = random.Normals(rules);
}

void MlpTask::Sample(const StreamKey& key, uint64_t block, float scale,
                     const std::vector<double>* rule_weights, int64_t count,
                     const Batch& batch) const {
  FillNormal(key, block, kFirstNumber, count, batch.a);
  FillNormal(key, block, kSecondNumber, count, batch.b);
  if (rule_weights != nullptr) {
    FillWeightedIndex(key, block, kRule, rule_weights->data(), rules(), count, batch.rule);
  } else {
    FillIndex(key, block, kRule, rules(), count, batch.rule);
  }
  for (int64_t i = 0; i < count; ++i) {
    batch.a[i] *= scale;
    batch.b[i] *= scale;
    const auto rule = static_cast<size_t>(batch.rule[i]);
    batch.target[i] = static_cast<float>(alpha_[rule] * static_cast<double>(batch.a[i]) +
                                         beta_[rule] * static_cast<double>(batch.b[i]));
  }
}

}  // namespace modlab
