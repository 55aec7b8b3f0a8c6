#include "server/access/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/access/token_file.h"

namespace modlab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

NewToken Make(const std::string& name, const std::vector<Token>& others = {}) {
  absl::StatusOr<NewToken> made =
      MakeToken(name, Role::kSubmit, kNow, kNow + absl::Hours(24), others);
  EXPECT_TRUE(made.ok()) << made.status();
  return *made;
}

TEST(TokenTest, OnlyItsWholeTextFindsIt) {
  const NewToken one = Make("ci");
  const NewToken two = Make("ci");
  EXPECT_NE(one.text, two.text);
  EXPECT_TRUE(std::regex_match(one.text, std::regex("modlab_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")))
      << one.text;
  const std::vector<Token> tokens = {one.token, two.token};
  ASSERT_NE(FindToken(tokens, one.text), nullptr);
  EXPECT_EQ(FindToken(tokens, one.text)->id, one.token.id);
  EXPECT_EQ(FindToken(tokens, two.text)->id, two.token.id);
  std::string other = one.text;
  other.back() = other.back() == 'A' ? 'B' : 'A';
  const std::string mixed = absl::StrCat("modlab_", two.token.id, one.text.substr(15));
  for (const std::string& wrong :
       {other, mixed, one.text + " ", one.text.substr(0, one.text.size() - 1), std::string(),
        std::string("modlab_"), absl::StrCat("modlab_", one.token.id),
        absl::StrCat("modlab_", one.token.id, "_"), one.token.sha256,
        one.text + std::string(1, '\0')}) {
    EXPECT_EQ(FindToken(tokens, wrong), nullptr) << wrong;
  }
}

TEST(TokenTest, NamesThatWouldHarmALogOrATableAreRefused) {
  for (const char* good : {"ci", "ada.lovelace@lab", "node-7_x"}) {
    EXPECT_TRUE(CheckTokenName(good).ok()) << good;
  }
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a\nb"),
                                 std::string("a\x1b[2J"), std::string(64, 'x')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckTokenName(bad))) << bad;
  }
  EXPECT_THAT(std::string(CheckTokenName("a\x1b[2J").message()), Not(HasSubstr("\x1b")));
}

class TokenFileTest : public testing::Test {
 protected:
  TokenFileTest() : dir_(testing::TempDir() + "/modlab-tokens-XXXXXX") {
    EXPECT_NE(mkdtemp(dir_.data()), nullptr);
  }
  ~TokenFileTest() override { std::filesystem::remove_all(dir_); }

  absl::Status Add(const Token& token) {
    return ChangeTokenFile(dir_, [&](std::vector<Token>* tokens) {
      tokens->push_back(token);
      return absl::OkStatus();
    });
  }
  std::string Text() {
    std::ifstream file(TokenFilePath(dir_));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::string ErrorOf(const std::string& text) {
    std::ofstream(TokenFilePath(dir_), std::ios::trunc) << text;
    const absl::StatusOr<std::vector<Token>> tokens = ReadTokenFile(dir_);
    EXPECT_TRUE(absl::IsFailedPrecondition(tokens.status())) << text << tokens.status();
    return std::string(tokens.status().message());
  }

  std::string dir_;
};

TEST_F(TokenFileTest, KeepsTokensWithoutTheirSecrets) {
  EXPECT_TRUE(ReadTokenFile(dir_)->empty());
  const NewToken one = Make("ci");
  NewToken two = Make("eve");
  two.token.expires = absl::InfiniteFuture();
  ASSERT_TRUE(Add(one.token).ok());
  ASSERT_TRUE(Add(two.token).ok());
  const absl::StatusOr<std::vector<Token>> tokens = ReadTokenFile(dir_);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  ASSERT_EQ(tokens->size(), 2u);
  EXPECT_EQ((*tokens)[0].name, "ci");
  EXPECT_EQ((*tokens)[0].role, Role::kSubmit);
  EXPECT_EQ((*tokens)[0].created, kNow);
  EXPECT_EQ((*tokens)[0].expires, kNow + absl::Hours(24));
  EXPECT_EQ((*tokens)[1].expires, absl::InfiniteFuture());
  EXPECT_NE(FindToken(*tokens, two.text), nullptr);
  EXPECT_THAT(Text(), Not(HasSubstr(one.text.substr(16))));
  struct stat state {};
  ASSERT_EQ(stat(TokenFilePath(dir_).c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0600u);
}

TEST_F(TokenFileTest, AChangeThatFailsLeavesTheFileAsItWas) {
  ASSERT_TRUE(Add(Make("ci").token).ok());
  const std::string before = Text();
  EXPECT_TRUE(absl::IsNotFound(ChangeTokenFile(dir_, [](std::vector<Token>* tokens) {
    tokens->clear();
    return absl::NotFoundError("no");
  })));
  EXPECT_EQ(Text(), before);
}

TEST_F(TokenFileTest, ChangesAtTheSameTimeAreAllKept) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] { EXPECT_TRUE(Add(Make("ci").token).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ReadTokenFile(dir_)->size(), 8u);
}

TEST_F(TokenFileTest, ADamagedFileIsNoFileWithoutTokens) {
  ASSERT_TRUE(Add(Make("ci").token).ok());
  const std::string good = Text();
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"tokens\": 7}"),
        std::string("{\"tokens\": [7]}"), good.substr(0, good.size() / 2),
        std::regex_replace(good, std::regex("submit"), "root"),
        std::regex_replace(good, std::regex("\"sha256\": \".."), "\"sha256\": \""),
        std::regex_replace(good, std::regex("\"expires\": \"2"), "\"expires\": \"x"),
        std::string("{\"tokens\": [{}]}")}) {
    EXPECT_THAT(ErrorOf(text), AllOf(HasSubstr("tokens.json"), HasSubstr("damaged")));
  }
  const std::string before = Text();
  EXPECT_FALSE(Add(Make("ci").token).ok());
  EXPECT_EQ(Text(), before) << "what is damaged may be mended, so it is not overwritten";
}

TEST_F(TokenFileTest, AFileThatOthersMayWriteIsNotTrusted) {
  ASSERT_TRUE(Add(Make("ci").token).ok());
  ASSERT_EQ(chmod(TokenFilePath(dir_).c_str(), 0620), 0);
  EXPECT_THAT(std::string(ReadTokenFile(dir_).status().message()), HasSubstr("chmod 600"));
}

}  // namespace
}  // namespace modlab
