#include "lib/yaml/document.h"

#include <gtest/gtest.h>

#include <string>

namespace modlab {
namespace {

TEST(DocumentTest, ReadsOneDocument) {
  EXPECT_EQ(LoadDocument("a: [1, 2]")["a"][1].as<int>(), 2);
  EXPECT_EQ(LoadDocument("---\nb: x\n...\n")["b"].as<std::string>(), "x");
}

TEST(DocumentTest, AnEmptyTextIsNull) {
  for (const char* text : {"", "\n\n", "# a comment\n", "---\n"}) {
    EXPECT_TRUE(LoadDocument(text).IsNull()) << text;
  }
}

TEST(DocumentTest, TellsWhereASecondDocumentBegins) {
  try {
    LoadDocument("a: 1\n---\nb: 2\n");
    FAIL();
  } catch (const SecondDocument& error) {
    EXPECT_EQ(error.mark.line, 1);
  }
}

// YAML::LoadAll() never ends on these.
TEST(DocumentTest, RefusesStrayCharacters) {
  for (const char* text : {",", "]", "}", ",,,", "a: 1\n,"}) {
    EXPECT_THROW(LoadDocument(text), YAML::Exception) << text;
  }
}

TEST(DocumentTest, RefusesMalformedText) {
  EXPECT_THROW(LoadDocument("a: [1, 2"), YAML::Exception);
  EXPECT_THROW(LoadDocument("\"unended"), YAML::Exception);
}

}  // namespace
}  // namespace modlab
