#include "lib/log/log.h"

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace modlab {
namespace {

// The one line that a message makes.
nlohmann::json Line(const std::string& message) {
  std::ostringstream out;
  spdlog::logger logger("modlabd", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger.set_formatter(MakeJsonFormatter());
  logger.warn("{}", message);
  const std::string text = out.str();
  EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
  return nlohmann::json::parse(text);
}

TEST(JsonLogTest, SaysWhenWhoAndWhat) {
  const auto line = Line("stopping");
  EXPECT_EQ(line["message"], "stopping");
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["program"], "modlabd");
  const std::string time = line["time"];
  EXPECT_EQ(time.size(), std::string("2024-05-01T12:00:03.000000Z").size());
  EXPECT_EQ(time.back(), 'Z');
  EXPECT_EQ(line.size(), 4U);
}

TEST(JsonLogTest, WhateverIsInTheMessageItIsOneLine) {
  EXPECT_EQ(Line("a\nb\t\"c\" \\ \x1b[2J")["message"], "a\nb\t\"c\" \\ \x1b[2J");
  EXPECT_EQ(Line("\xff{}%s")["message"], "\xef\xbf\xbd{}%s");
  EXPECT_EQ(Line("")["message"], "");
}

TEST(JsonLogTest, LeadingWordsAreFields) {
  auto line = Line("job=17 attempt=2 worker=node-1: the attempt failed: x=1");
  EXPECT_EQ(line["job"], 17);
  EXPECT_EQ(line["attempt"], 2);
  EXPECT_EQ(line["worker"], "node-1");
  EXPECT_EQ(line["message"], "the attempt failed: x=1");
  line = Line("worker=n:7 job=3: done");
  EXPECT_EQ(line["worker"], "n:7");
  EXPECT_EQ(line["job"], 3);
  line = Line("job=1 worker=\"a b: \\\"c\\\"\": gone");
  EXPECT_EQ(line["worker"], "a b: \\\"c\\\"");
  EXPECT_EQ(line["message"], "gone");
}

TEST(JsonLogTest, OtherTextStaysAsItIs) {
  for (const std::string& text :
       {std::string("x = 1: no"), std::string("job=1 and more"), std::string("job=1"),
        std::string("job="), std::string("job=1:"), std::string("job=\"1"), std::string("=1: a"),
        std::string("a b=1: c")}) {
    const auto line = Line(text);
    EXPECT_EQ(line["message"], text);
    EXPECT_EQ(line.size(), 4U) << text;
  }
  // What a message says must not take the place of what the log says.
  EXPECT_EQ(Line("level=info: sure")["level"], "warning");
}

}  // namespace
}  // namespace modlab
