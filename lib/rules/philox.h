// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// 2011): 128 random bits as a pure function of a counter and a key.

#ifndef MODLAB_LIB_RULES_PHILOX_H_
#define MODLAB_LIB_RULES_PHILOX_H_

#include <cstdint>

namespace modlab {

// Named words, not arrays: a loop over counters then becomes vector code.
struct PhiloxBlock {
  uint32_t word0, word1, word2, word3;
};
struct PhiloxKey {
  uint32_t word0, word1;
};

// Always inlined, so that it takes the vector width of its caller.
__attribute__((always_inline)) inline PhiloxBlock Philox(PhiloxBlock counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter.word0;
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter.word2;
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter.word1 ^ key.word0,
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter.word3 ^ key.word1,
               static_cast<uint32_t>(product0)};
    key.word0 += 0x9E3779B9;  // golden ratio
    key.word1 += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_PHILOX_H_
