#include "client/report/gnuplot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace modlab {
namespace {

using testing::HasSubstr;

// PATH with another value for a while.
class PathGuard {
 public:
  explicit PathGuard(const std::string& path) : old_(std::getenv("PATH")) {
    setenv("PATH", path.c_str(), 1);
  }
  ~PathGuard() { setenv("PATH", old_.c_str(), 1); }

 private:
  const std::string old_;
};

// What gnuplot prints of a string constant.
std::string Echo(const std::string& text) {
  const auto output = RunGnuplot(absl::StrCat("set print '-'\nprint ", GnuplotString(text), "\n"));
  EXPECT_TRUE(output.ok()) << output.status();
  return output.ok() ? *output : "";
}

TEST(GnuplotTest, WhatItPrintsComesBack) {
  EXPECT_EQ(RunGnuplot("set print '-'\nprint 2+3\n").value(), "5\n");
}

TEST(GnuplotTest, StringsAreNotInterpreted) {
  for (const std::string text :
       {"it's", "''", "'a", "'\"'", "\"", "50%", "1,234.5", "'1", "\\101", "\\", "\\n \\",
        "`echo pwned`", "$(echo pwned) $data", "@x \"q\" %s", "<script>&amp;", "naïve – ⁻⁵",
        "a{/:Bold b}_c^d", "# no comment", "x; exit"}) {
    EXPECT_EQ(Echo(text), text + "\n");
  }
  EXPECT_EQ(Echo("two\nlines\t\r\0x"), "two lines  \n");
}

TEST(GnuplotTest, TextThatIsNoUtf8IsReplaced) {
  EXPECT_EQ(PlainText("a\xff z"), "a\uFFFD z");
  EXPECT_EQ(PlainText("\xc3"), "\uFFFD");
  EXPECT_EQ(PlainText("\xc0\xaf"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(PlainText("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(PlainText("\xef\xbf\xbf"), "\uFFFD\uFFFD\uFFFD");  // not in XML
  EXPECT_EQ(PlainText("\xf0\x9f\x98\x80é"), "\xf0\x9f\x98\x80é");
}

TEST(GnuplotTest, NumbersKeepTheirDigits) {
  for (const double value : {0.1, -1e-300, 1e300, 123456789012345678.0, 1.0 / 3, 0.0}) {
    EXPECT_EQ(std::stod(GnuplotNumber(value)), value);
  }
  // 1/2 of integers would be 0.
  const auto half =
      RunGnuplot(absl::StrCat("set print '-'\nprint ", GnuplotNumber(1), "/", GnuplotNumber(2)));
  EXPECT_EQ(half.value(), "0.5\n");
  EXPECT_EQ(GnuplotNumber(HUGE_VAL), "NaN");
}

TEST(GnuplotTest, ItsComplaintsAreTold) {
  const auto output = RunGnuplot("set nonsense\n");
  EXPECT_EQ(output.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(output.status().message()), HasSubstr("gnuplot failed: "));
  EXPECT_THAT(std::string(output.status().message()), HasSubstr("nonsense"));
}

TEST(GnuplotTest, WithoutGnuplotTheErrorSaysWhatToInstall) {
  const PathGuard path("");
  const auto output = RunGnuplot("print 1\n");
  EXPECT_EQ(output.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(output.status().message()),
              HasSubstr("install it (Debian: apt-get install gnuplot-nox)"));
}

TEST(GnuplotTest, ItIsEndedAfterItsTime) {
  const absl::Time start = absl::Now();
  const auto output = RunGnuplot("pause 100\n", absl::Milliseconds(200));
  EXPECT_EQ(output.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

TEST(GnuplotTest, ItCannotWriteWithoutEnd) {
  const auto output = RunGnuplot(
      "set print '-'\nx = 'xxxxxxxxxxxxxxxx'\ndo for [i=1:12] { x = x . x }\n"
      "do for [i=1:2000] { print x }\n");
  EXPECT_EQ(output.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(GnuplotTest, ALongScriptIsReadToItsEnd) {
  std::string script = "set print '-'\n";
  for (int i = 0; i < 100000; ++i) absl::StrAppend(&script, "# a comment that fills pipes\n");
  EXPECT_EQ(RunGnuplot(script + "print 7\n").value(), "7\n");
}

TEST(GnuplotTest, TheUsersSettingsDoNotMatter) {
  setenv("GNUTERM", "dumb", 1);
  setenv("LC_ALL", "de_DE.UTF-8", 1);
  const auto output = RunGnuplot("set print '-'\nprint GPVAL_TERM ne 'dumb', 1.5\n");
  unsetenv("GNUTERM");
  unsetenv("LC_ALL");
  EXPECT_EQ(output.value(), "1 1.5\n");
}

}  // namespace
}  // namespace modlab
