#include "lib/config/utf8.h"

#include <gtest/gtest.h>

namespace modlab {
namespace {

TEST(Utf8Test, ShortTextIsWhole) {
  EXPECT_EQ(CutUtf8("", 0), "");
  EXPECT_EQ(CutUtf8("abc", 3), "abc");
  EXPECT_EQ(CutUtf8("abc", 100), "abc");
}

TEST(Utf8Test, LongTextIsCutBetweenCharacters) {
  EXPECT_EQ(CutUtf8("abcd", 3), "abc");
  EXPECT_EQ(CutUtf8("a\xC3\xA4z", 2), "a");  // ä has two bytes
  EXPECT_EQ(CutUtf8("a\xC3\xA4z", 3), "a\xC3\xA4");
  EXPECT_EQ(CutUtf8("\xE2\x82\xAC\xE2\x82\xAC", 5), "\xE2\x82\xAC");  // € has three
  EXPECT_EQ(CutUtf8("\xE2\x82\xAC", 2), "");
}

TEST(Utf8Test, WhatIsNotUtf8IsCutShortAllTheSame) {
  EXPECT_EQ(CutUtf8("\x80\x80\x80\x80", 2), "");
  EXPECT_LE(CutUtf8("\xFF\xFF\xFF\xFF", 2).size(), 2u);
}

}  // namespace
}  // namespace modlab
