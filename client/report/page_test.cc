#include "client/report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"

namespace modlab {
namespace {

using testing::HasSubstr;
using testing::Not;

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

PageFigure AFigure(const std::string& title) {
  PageFigure figure;
  figure.title = title;
  figure.caption = "Mean over n jobs.";
  figure.svg = "<?xml version=\"1.0\"?>\n<svg><path id='p'/><use xlink:href='#p'/></svg>";
  figure.sheet = {{"model", "error"}, {{std::string("modular"), 0.125}, {std::string("x"), {}}}};
  figure.csv_name = "loss.csv";
  return figure;
}

TEST(PageTest, FiguresAreNumberedThroughAllSections) {
  Page page;
  page.title = "Report";
  page.intro = {"Hello."};
  page.sections.resize(2);
  page.sections[0].title = "Loss";
  page.sections[0].paragraphs = {"What one sees."};
  page.sections[0].figures = {AFigure("First"), AFigure("Second?")};
  page.sections[1].title = "Metrics";
  page.sections[1].figures = {AFigure("Third")};
  const std::string html = Html(page);
  EXPECT_THAT(html, HasSubstr("<!DOCTYPE html>"));
  EXPECT_THAT(html, HasSubstr("<title>Report</title>"));
  EXPECT_THAT(html, HasSubstr("<p>Hello.</p>"));
  EXPECT_THAT(html, HasSubstr("<p>What one sees.</p>"));
  EXPECT_THAT(html, HasSubstr("<b>Figure 1. First.</b> Mean over n jobs."));
  EXPECT_THAT(html, HasSubstr("<b>Figure 2. Second?</b> Mean"));
  EXPECT_THAT(html, HasSubstr("<b>Figure 3. Third.</b>"));
  for (const char* id : {"section-1", "section-2", "figure-1", "figure-2", "figure-3"}) {
    EXPECT_EQ(Count(html, "href=\"#" + std::string(id) + "\""), 1) << id;
    EXPECT_EQ(Count(html, " id=\"" + std::string(id) + "\""), 1) << id;
  }
}

TEST(PageTest, IdsOfPicturesDoNotClash) {
  Page page;
  page.sections.resize(1);
  page.sections[0].figures = {AFigure("a"), AFigure("b")};
  const std::string html = Html(page);
  for (const char* prefix : {"f1-", "f2-"}) {
    EXPECT_EQ(Count(html, "id='" + std::string(prefix) + "p'"), 1);
    EXPECT_EQ(Count(html, "href='#" + std::string(prefix) + "p'"), 1);
  }
  EXPECT_THAT(html, Not(HasSubstr("id='p'")));
  EXPECT_THAT(html, Not(HasSubstr("<?xml")));
}

TEST(PageTest, NumbersAreInATableToUnfold) {
  Page page;
  page.sections.resize(1);
  page.sections[0].figures = {AFigure("a")};
  const std::string html = Html(page);
  EXPECT_THAT(html, HasSubstr("<details><summary>Numbers (2 rows)</summary>"));
  EXPECT_THAT(html, HasSubstr("<th>model</th><th class=\"number\">error</th>"));
  EXPECT_THAT(html, HasSubstr("<td>modular</td><td class=\"number\">0.125</td>"));
  EXPECT_THAT(html, HasSubstr("<td>x</td><td class=\"number\"></td>"));

  page.sections[0].figures[0].sheet = {};
  EXPECT_THAT(Html(page), Not(HasSubstr("<details>")));
}

TEST(PageTest, NumbersComeAsAFileToo) {
  Page page;
  page.sections.resize(1);
  page.sections[0].figures = {AFigure("a")};
  page.sections[0].figures[0].commands = {"modlab results a", "modlab rank a"};
  Sheet& sheet = page.sections[0].figures[0].sheet;
  std::string html = Html(page);
  EXPECT_THAT(html,
              HasSubstr("<a download=\"loss.csv\" href=\"data:text/csv;charset=utf-8;base64," +
                        absl::Base64Escape(Csv(sheet)) + "\">"));
  EXPECT_THAT(html, HasSubstr("<code>modlab results a</code><br><code>modlab rank a</code>"));

  sheet.rows.assign(100000, {std::string("modular"), 1.0});
  EXPECT_THAT(Html(page), Not(HasSubstr("data:")));
}

TEST(PageTest, ASectionMayHaveTablesOfItsOwn) {
  Page page;
  page.sections.resize(1);
  page.sections[0].tables = {
      {"Jobs by state", {{"state", "jobs"}, {{std::string("FAILED"), int64_t{12}}}}}};
  const std::string html = Html(page);
  EXPECT_THAT(html, HasSubstr("<h3>Jobs by state</h3>"));
  EXPECT_THAT(html, HasSubstr("<td>FAILED</td><td class=\"number\">12</td>"));
  EXPECT_THAT(html, Not(HasSubstr("<details>")));
}

TEST(PageTest, LongTablesAreCutAndSaySo) {
  Page page;
  page.sections.resize(1);
  page.sections[0].figures = {AFigure("a")};
  Sheet& sheet = page.sections[0].figures[0].sheet;
  sheet.rows.assign(2000, {std::string("modular"), 1.0});
  EXPECT_THAT(Html(page), Not(HasSubstr("more row")));
  sheet.rows.resize(3501, {std::string("modular"), 1.0});
  const std::string html = Html(page);
  EXPECT_THAT(html, HasSubstr("<p>1,501 more rows in loss.csv.</p>"));
  EXPECT_EQ(Count(html, "<td>modular</td>"), 2000);
}

TEST(PageTest, AllTextIsEscaped) {
  const std::string evil = "</p><script>alert('&')</script>";
  Page page;
  page.title = evil;
  page.intro = {evil};
  page.sections.resize(1);
  page.sections[0].title = evil;
  page.sections[0].paragraphs = {evil};
  page.sections[0].tables = {{evil, {{evil}, {{evil}}}}};
  PageFigure figure = AFigure(evil);
  figure.caption = evil;
  figure.csv_name = evil;
  figure.commands = {evil};
  figure.sheet = {{evil}, {}};
  figure.sheet.rows.assign(2001, {evil});
  page.sections[0].figures = {figure};
  EXPECT_THAT(Html(page), Not(HasSubstr("<script")));
}

TEST(PageTest, ThePageNeedsNothingButItself) {
  Page page;
  page.sections.resize(1);
  page.sections[0].figures = {AFigure("a")};
  const std::string html = Html(page);
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(html, Not(HasSubstr("src=")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  EXPECT_THAT(html, Not(HasSubstr("@import")));
}

TEST(PageTest, AnEmptyPageIsAPage) {
  const std::string html = Html(Page());
  EXPECT_THAT(html, HasSubstr("<body>"));
  EXPECT_THAT(html, Not(HasSubstr("<nav>")));
}

}  // namespace
}  // namespace modlab
