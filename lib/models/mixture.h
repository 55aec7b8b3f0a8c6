// How the networks of MLP and MHA end: the modules' last layer, mixed as a router
// says, and the decoder.

#ifndef MODLAB_LIB_MODELS_MIXTURE_H_
#define MODLAB_LIB_MODELS_MIXTURE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "lib/models/batch.h"
#include "lib/models/model.h"
#include "lib/models/parameters.h"
#include "lib/models/router.h"
#include "lib/models/rule_order.h"

namespace modlab {

// Mixing comes before the last layer, so that no module's outputs are ever computed; and
// where it takes fewer operations that layer's matrix is multiplied with the decoder's first
// once. `parameters` and `router` must outlive it. Thread-safe as the parameters are.
class Mixture {
 public:
  // `layer`: the published name of the modules' last layer. `router` is null for
  // MONOLITHIC, which is one module. `columns`: of a training step.
  Mixture(const std::string& layer, const Router* router, const Parameters& parameters,
          int64_t columns);

  // `hidden`: what the modules compute before that layer, [J, M K, T]. `rule_code`:
  // the encoded rules of an MLP.
  Network::Output Decode(const Batch& batch, const at::Tensor& rule_code,
                         const at::Tensor& hidden) const;

  // The same where the router is_given(), and module m of `hidden`, [J, K, T], computed
  // its own columns alone: those of its rule, sorted.
  Network::Output DecodeSorted(const Batch& batch, const RuleOrder& order,
                               const at::Tensor& hidden) const;

  // p alone. `hidden` may be undefined unless the router needs it. Not for MONOLITHIC.
  at::Tensor Route(const Batch& batch, const at::Tensor& rule_code, const at::Tensor& hidden) const;

 private:
  // What follows the decoder's first layer.
  at::Tensor Finish(const at::Tensor& decoded) const;
  RouterInput RouteBy(const Batch& batch, const at::Tensor& rule_code,
                      const at::Tensor& hidden) const;

  const Parameters& parameters_;
  const Router* const router_;
  at::Tensor weight_;        // [J, M, K, D + score outputs]
  at::Tensor bias_;          // [J, 1, M, D + score outputs]
  at::Tensor score_weight_;  // [J, M, K] if the modules have score outputs
  at::Tensor score_bias_;    // [J, M]
  // [J, e, M K + M] (mixed hidden, p) -> decoder; MONOLITHIC: no p. Undefined where the
  // layers are not multiplied.
  at::Tensor last_;
  at::Tensor last_bias_;  // [J, e]
};

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_MIXTURE_H_
