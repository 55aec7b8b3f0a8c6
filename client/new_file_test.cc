#include "client/new_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace modlab {
namespace {

namespace fs = std::filesystem;

class NewFileTest : public testing::Test {
 protected:
  NewFileTest() : dir_(testing::TempDir() + "/modlab-XXXXXX") {
    if (mkdtemp(&dir_[0]) == nullptr) std::abort();
  }
  ~NewFileTest() override { fs::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
  }
  static std::string Read(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  std::ptrdiff_t Files() const {
    return std::distance(fs::directory_iterator(dir_), fs::directory_iterator());
  }
  absl::StatusCode Refusal(const std::string& path) const {
    return NewFile::Create(path).status().code();
  }

  std::string dir_;
};

TEST_F(NewFileTest, AppearsWholeOrNotAtAll) {
  {
    auto file = NewFile::Create(Path("x"));
    ASSERT_TRUE(file.ok()) << file.status();
    Write((*file)->partial(), "half");
    EXPECT_FALSE(fs::exists(Path("x")));
  }
  EXPECT_EQ(Files(), 0);
  Write(Path("x"), "old");
  auto file = NewFile::Create(Path("x"));
  auto other = NewFile::Create(Path("x"));  // another process, say
  ASSERT_TRUE(file.ok() && other.ok());
  Write((*file)->partial(), "new");
  Write((*other)->partial(), "other");
  ASSERT_TRUE((*file)->Commit().ok());
  EXPECT_EQ(Read(Path("x")), "new");
  other->reset();
  EXPECT_EQ(Files(), 1);
}

TEST_F(NewFileTest, LinksStay) {
  Write(Path("file"), "old");
  fs::create_symlink("file", Path("link"));
  fs::create_symlink("nothing yet", Path("dangling"));
  for (const char* link : {"link", "dangling"}) {
    auto file = NewFile::Create(Path(link));
    ASSERT_TRUE(file.ok()) << file.status();
    Write((*file)->partial(), "new");
    ASSERT_TRUE((*file)->Commit().ok());
    EXPECT_TRUE(fs::is_symlink(Path(link)));
  }
  EXPECT_EQ(Read(Path("file")), "new");
  EXPECT_EQ(Read(Path("nothing yet")), "new");
}

TEST_F(NewFileTest, OnlyRegularFilesAreReplaced) {
  EXPECT_EQ(Refusal(""), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal(dir_), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal("/dev/null"), absl::StatusCode::kInvalidArgument);
  fs::create_symlink("/dev/null", Path("null"));
  EXPECT_EQ(Refusal(Path("null")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal(Path("no/x")), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace modlab
