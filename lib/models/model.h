// A network of section 2 for a gang of jobs: which parameters it has, and what
// it computes with them.

#ifndef MODLAB_LIB_MODELS_MODEL_H_
#define MODLAB_LIB_MODELS_MODEL_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/models/batch.h"
#include "lib/models/parameters.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// A model with its parameters, products of weight matrices made beforehand. Valid
// until the parameters change or go; part of the graph that backward() goes
// through. Thread-safe as the parameters are.
class Network {
 public:
  virtual ~Network() = default;

  struct Output {
    at::Tensor prediction;  // [J, O, T] numbers, or logits
    // [J, M, T], nothing differentiates through it; undefined for MONOLITHIC.
    at::Tensor p;
  };
  virtual Output Forward(const Batch& batch) const = 0;

  // p alone, at a fraction of the cost where that can be. Not for MONOLITHIC.
  virtual at::Tensor Route(const Batch& batch) const = 0;
};

// Immutable, so thread-safe.
class Model {
 public:
  virtual ~Model() = default;

  // Names and shapes as in the paper's published code.
  virtual std::vector<ParameterSpec> Specs() const = 0;

  // `parameters` has tensors for Specs(), and must outlive the network.
  virtual std::unique_ptr<Network> Bind(const Parameters& parameters) const = 0;
};

// `canonical`: any job of the gang; its shape is what counts.
std::unique_ptr<Model> MakeModel(const v1::JobConfig& canonical);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_MODEL_H_
