#include "client/report/markup.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"

namespace modlab {
namespace {

TEST(MarkupTest, TextBecomesNoTag) {
  EXPECT_EQ(MarkupText("<script>alert(\"a\" & 'b')</script>"),
            "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;");
  EXPECT_EQ(MarkupText("±\x01\xff"), "± \uFFFD");
}

TEST(MarkupTest, GnuplotsTitlesAreReplacedByOurs) {
  const auto svg = TidySvg(
      "<?xml version=\"1.0\"?><svg width=\"1\"><title>Gnuplot</title><desc>5.4</desc>"
      "<g id=\"gnuplot_plot_1\" ><title>gnuplot_plot_1</title><text>a title</text></g></svg>\n",
      "Loss & <more>");
  EXPECT_EQ(svg.value(),
            "<?xml version=\"1.0\"?><svg width=\"1\">\n<title>Loss &amp; &lt;more&gt;</title>"
            "<g><text>a title</text></g></svg>\n");
}

TEST(MarkupTest, WhatIsNoCompleteDocumentIsRefused) {
  EXPECT_EQ(TidySvg("", "x").status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(TidySvg("<svg><g>", "x").status().code(), absl::StatusCode::kInternal);
}

TEST(MarkupTest, IdsAndTheirUsesGetThePrefix) {
  const std::string svg = InlineSvg(
      "<?xml version=\"1.0\"?>\n<svg><g id=\"a\"/><path id='b'/><use xlink:href='#b'/>"
      "<use href=\"#a\" fill=\"url(#a)\"/><text> id=\"a\" href='#b' url(#a) ></text></svg>",
      "f7-");
  EXPECT_EQ(svg,
            "<svg><g id=\"f7-a\"/><path id='f7-b'/><use xlink:href='#f7-b'/>"
            "<use href=\"#f7-a\" fill=\"url(#f7-a)\"/><text> id=\"a\" href='#b' url(#a) ></text>"
            "</svg>");
}

TEST(MarkupTest, NothingComesOfNothing) {
  EXPECT_EQ(InlineSvg("", "f1-"), "");
  EXPECT_EQ(InlineSvg("no picture", "f1-"), "");
  EXPECT_EQ(InlineSvg("<svg", "f1-"), "<svg");
}

}  // namespace
}  // namespace modlab
