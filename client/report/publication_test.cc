#include "client/report/publication.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PublicationTest : public testing::Test {
 protected:
  PublicationTest() : dir_(testing::TempDir() + "/report-XXXXXX") {
    EXPECT_NE(mkdtemp(dir_.data()), nullptr);
  }
  ~PublicationTest() override { std::filesystem::remove_all(dir_); }

  std::string Read(const std::string& name) const {
    std::ifstream file(dir_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::set<std::string> Names(const std::string& dir) const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/" + dir)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  std::string dir_;
};

Report AReport() {
  Exhibit exhibit;
  exhibit.name = "loss";
  exhibit.caption = "What it shows.";
  exhibit.commands = {"modlab curves a"};
  exhibit.figure.title = "Loss";
  LinePanel panel;
  panel.series = {{"modular", {{1, {0.5, {}, {}, 2}}}}};
  exhibit.figure.panels = std::vector<LinePanel>{panel};
  Report report;
  report.title = "Sweep a";
  report.sections = {{"Training", {}, {}, {exhibit}}};
  return report;
}

TEST_F(PublicationTest, ThePageHasAllAndFilesStandBesideIt) {
  // Twice: what is there is replaced.
  for (int i = 0; i < 2; ++i) {
    std::vector<std::string> said;
    const auto status = Publish(AReport(), dir_ + "/page.html", dir_ + "/figures",
                                [&](const std::string& text) { said.push_back(text); });
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_THAT(said, ElementsAre("figure 1 of 1: Loss"));
    EXPECT_THAT(Names("."), ElementsAre("figures", "page.html"));
    EXPECT_THAT(Names("figures"), ElementsAre("loss.csv", "loss.svg", "report-files.sha256"));
  }
  const std::string page = Read("page.html");
  for (const char* text : {"Sweep a", "Loss", "What it shows.", "modlab curves a", "<svg"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  EXPECT_THAT(Read("figures/loss.svg"), HasSubstr("</svg>"));
  EXPECT_THAT(Read("figures/loss.csv"), HasSubstr("modular,1"));
}

TEST_F(PublicationTest, WhatCannotBeWrittenIsSaidBeforeAnythingIsDrawn) {
  bool drawn = false;
  const auto draw = [&](const std::string&) { drawn = true; };
  EXPECT_THAT(Publish(AReport(), dir_ + "/no/page.html", dir_ + "/figures", draw).message(),
              HasSubstr("/no/page.html"));
  EXPECT_TRUE(absl::IsInvalidArgument(Publish(AReport(), dir_, dir_ + "/figures", draw)));
  EXPECT_THAT(Publish(AReport(), dir_ + "/page.html", dir_ + "/no/figures", draw).message(),
              HasSubstr("cannot write"));
  EXPECT_FALSE(drawn);
  EXPECT_TRUE(Names(".").empty());
}

TEST_F(PublicationTest, AFailureLeavesTheOldPage) {
  std::ofstream(dir_ + "/page.html") << "old";
  Report report = AReport();
  // The first can be drawn.
  report.sections[0].exhibits.push_back(report.sections[0].exhibits[0]);
  report.sections[0].exhibits[1].figure.panels = std::vector<LinePanel>(1000);
  EXPECT_FALSE(
      Publish(report, dir_ + "/page.html", dir_ + "/figures", [](const std::string&) {}).ok());
  EXPECT_EQ(Read("page.html"), "old");
  EXPECT_THAT(Names("."), ElementsAre("figures", "page.html"));
  EXPECT_TRUE(Names("figures").empty());
}

TEST_F(PublicationTest, WhatAnEarlierReportLeftIsRemovedAndNothingElse) {
  std::vector<std::string> said;
  const auto publish = [&](const Report& report) {
    said.clear();
    return Publish(report, dir_ + "/page.html", dir_ + "/figures",
                   [&](const std::string& text) { said.push_back(text); });
  };
  std::filesystem::create_directory(dir_ + "/figures");
  std::ofstream(dir_ + "/figures/mine.svg") << "mine";
  ASSERT_TRUE(publish(AReport()).ok());
  Report other = AReport();
  other.sections[0].exhibits[0].name = "votes";
  ASSERT_TRUE(publish(other).ok());
  EXPECT_THAT(Names("figures"),
              ElementsAre("mine.svg", "report-files.sha256", "votes.csv", "votes.svg"));
  EXPECT_THAT(said, ElementsAre("figure 1 of 1: Loss", HasSubstr("removed"), HasSubstr("removed")));
  // So is what a third left in its turn.
  ASSERT_TRUE(publish(AReport()).ok());
  EXPECT_THAT(Names("figures"),
              ElementsAre("loss.csv", "loss.svg", "mine.svg", "report-files.sha256"));
}

}  // namespace
}  // namespace modlab
