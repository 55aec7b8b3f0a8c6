// Routers: how the mixing weights p of the modules are made. A model type is a
// router times a module times a mixture; a new router is one class here and one
// line in MakeRouter().

#ifndef MODLAB_LIB_MODELS_ROUTER_H_
#define MODLAB_LIB_MODELS_ROUTER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/models/parameters.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// What a router may look at. J jobs, T columns, R rules, M modules of K hidden
// units, D outputs a module.
struct RouterInput {
  at::Tensor input;          // [J, C, T] the real-valued inputs
  at::Tensor rule;           // [J, R, T] one-hot
  at::Tensor rule_code;      // [J, e, R] the encoded rules; MLP only
  at::Tensor hidden;         // [J, M K, T] what the modules compute before their last layer
  at::Tensor output_weight;  // [J, M, K, D + score_outputs()] that last layer
  at::Tensor output_bias;    // [J, 1, M, D + score_outputs()]
  at::Tensor score_weight;   // [J, M, K] of its score outputs, if there are any
  at::Tensor score_bias;     // [J, M]
};

// Immutable, so thread-safe.
class Router {
 public:
  virtual ~Router() = default;

  // Outputs that each module computes for the router, beside its D: none or one.
  virtual int64_t score_outputs() const { return 0; }
  // Whether p depends on `hidden` and the module's last layer.
  virtual bool needs_modules() const { return false; }
  // Whether p is the rule's one-hot vector, so that only the module of a sample's own
  // rule matters.
  virtual bool is_given() const { return false; }
  virtual void AddParameters(std::vector<ParameterSpec>* specs) const = 0;
  // p, [J, M, T]: not negative, columns sum to 1.
  virtual at::Tensor Route(const Parameters& parameters, const RouterInput& input) const = 0;
  // The hidden units mixed by p, and p below them: Mix() of mixing.h.
  virtual at::Tensor MixModules(const Parameters& parameters, const RouterInput& input) const;
};

// The router of a canonical config. Null for MONOLITHIC, which routes nothing, and
// for MODULAR RNNs, whose scores are part of the recurrence.
std::unique_ptr<Router> MakeRouter(const v1::JobConfig& canonical);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_ROUTER_H_
