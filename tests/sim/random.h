// The one source of chance of a simulated installation: equal seeds give equal
// runs on every machine.

#ifndef MODLAB_TESTS_SIM_RANDOM_H_
#define MODLAB_TESTS_SIM_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace modlab {
namespace sim {

// SplitMix64's step, also used to mix numbers into hashes.
inline uint64_t Mix(uint64_t value) {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

// Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) {}

  uint64_t Next() { return Mix(state_++); }
  // 0 .. count - 1; count is at least 1.
  uint64_t Below(uint64_t count) { return Next() % count; }
  // Both ends included.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  bool Chance(double probability) {
    return static_cast<double>(Next() >> 11) * 0x1p-53 < probability;
  }
  template <typename T>
  const T& Pick(const std::vector<T>& values) {
    return values[static_cast<size_t>(Below(values.size()))];
  }

 private:
  uint64_t state_;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_RANDOM_H_
