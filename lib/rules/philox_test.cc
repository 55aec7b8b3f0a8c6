#include "lib/rules/philox.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace modlab {
namespace {

std::vector<uint32_t> Words(const PhiloxBlock& block) {
  return {block.word0, block.word1, block.word2, block.word3};
}

// The known answers that the paper's authors published.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Words(Philox({0, 0, 0, 0}, {0, 0})),
            (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(
      Words(Philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff})),
      (std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      Words(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0})),
      (std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

}  // namespace
}  // namespace modlab
