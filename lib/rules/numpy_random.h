// numpy's legacy generator, number for number: data seed d means here the task
// that it means in the published code (docs/benchmark.md, section 1).

#ifndef MODLAB_LIB_RULES_NUMPY_RANDOM_H_
#define MODLAB_LIB_RULES_NUMPY_RANDOM_H_

#include <cstdint>
#include <random>
#include <vector>

namespace modlab {

// numpy.random.RandomState(seed). Not thread-safe; cheap to make, so make one
// where it is needed.
class RandomState {
 public:
  explicit RandomState(uint32_t seed);

  // Uniform on [0, 1) with 53 bits.
  double Uniform();
  // Standard normal, by the polar method with its cached second value.
  double Normal();
  // randn(count), in C order.
  std::vector<double> Normals(int64_t count);
  // dirichlet(ones(size)); entries sum to 1.
  std::vector<double> DirichletOnes(int size);

 private:
  std::mt19937 bits_;
  bool has_cached_normal_ = false;
  double cached_normal_ = 0.0;
};

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_NUMPY_RANDOM_H_
