#include "lib/config/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace modlab {
namespace {

// The vectors of FIPS 180-2.
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesAreTheWhole) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  EXPECT_EQ(hash.FinishHex(), Sha256Hex("abc"));
}

TEST(Sha256, WhatIsWrittenAsHashesAre) {
  EXPECT_TRUE(IsLowerHex(Sha256Hex(""), kSha256HexDigits));
  EXPECT_TRUE(IsLowerHex("0f", 2));
  EXPECT_FALSE(IsLowerHex("0f", 3));
  EXPECT_FALSE(IsLowerHex("0F", 2));
  EXPECT_FALSE(IsLowerHex("0g", 2));
  EXPECT_FALSE(IsLowerHex("..", 2));
}

}  // namespace
}  // namespace modlab
