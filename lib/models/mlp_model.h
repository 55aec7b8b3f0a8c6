// The MLP networks of section 2, all four model types, for a gang of jobs.
//
// The function is the paper's; the order of operations is not. Where two linear
// layers meet with nothing between them their matrices are multiplied first,
// modules are mixed before their last layer, and what depends on the rule alone
// is computed once a rule. ARCHITECTURE.md says what that saves.

#ifndef MODLAB_LIB_MODELS_MLP_MODEL_H_
#define MODLAB_LIB_MODELS_MLP_MODEL_H_

#include <ATen/ATen.h>

#include <memory>
#include <vector>

#include "lib/models/parameters.h"
#include "lib/models/router.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// B samples for each of J jobs.
struct MlpBatch {
  at::Tensor digits;  // [J, 2, B] a, b
  at::Tensor rule;    // [J, B, R] one-hot
  at::Tensor target;  // [J, B] y, or labels 0/1
};

// Immutable, so thread-safe; the Parameters that it is used with are the
// caller's.
class MlpModel {
 public:
  // `canonical`: any job of the gang; its shape is what counts.
  explicit MlpModel(const v1::JobConfig& canonical);

  // Names and shapes as in the paper's published code.
  std::vector<ParameterSpec> Specs() const;

  // Products of weight matrices; valid until the parameters change. Part of the
  // graph that backward() goes through.
  struct Folded {
    at::Tensor rule_code;      // [J, R, e]
    at::Tensor first;          // [J, 2e + R, M K] (encoded digits, rule) -> hidden
    at::Tensor output_weight;  // [J, M, K, D + score outputs]
    at::Tensor output_bias;    // [J, M, D + score outputs]
    at::Tensor last;           // [J, M K + M, e] (mixed hidden, p) -> decoder
  };
  Folded Fold(const Parameters& parameters) const;

  struct Output {
    at::Tensor prediction;  // [J, B] number, or logit
    at::Tensor p;           // [J, B, M]; undefined for MONOLITHIC
  };
  Output Forward(const Parameters& parameters, const Folded& folded, const MlpBatch& batch) const;

  // p alone, at a fraction of the cost. Not for MONOLITHIC.
  at::Tensor Route(const Parameters& parameters, const Folded& folded, const MlpBatch& batch) const;

  bool has_router() const { return router_ != nullptr; }

 private:
  at::Tensor Hidden(const Parameters& parameters, const Folded& folded,
                    const MlpBatch& batch) const;

  int64_t rules_;
  int64_t modules_;
  int64_t encoder_dim_;
  int64_t model_dim_;
  int64_t units_;  // K = D / M
  std::unique_ptr<Router> router_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_MLP_MODEL_H_
