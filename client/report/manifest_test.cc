#include "client/report/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/config/sha256.h"

namespace modlab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ManifestTest : public testing::Test {
 protected:
  ManifestTest() : dir_(testing::TempDir() + "/manifest-XXXXXX") {
    EXPECT_NE(mkdtemp(dir_.data()), nullptr);
    std::filesystem::create_directory(Path("figures"));
  }
  ~ManifestTest() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name) const { return absl::StrCat(dir_, "/", name); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }

  bool Exists(const std::string& name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(Path(name)));
  }

  // What is said while it removes.
  std::vector<std::string> Remove(const Manifest& now) const {
    std::vector<std::string> said;
    const auto status =
        RemoveStale(Path("figures"), now, [&](const std::string& text) { said.push_back(text); });
    EXPECT_TRUE(status.ok()) << status;
    return said;
  }

  std::string dir_;
};

TEST_F(ManifestTest, OnlyWhatIsListedAndUnchangedGoes) {
  for (const char* name : {"stale.svg", "kept.svg", "changed.csv", "own.csv"}) {
    Write(absl::StrCat("figures/", name), "as written");
  }
  const std::string hash = Sha256Hex("as written");
  Write("figures/report-files.sha256",
        ManifestText(
            {{"stale.svg", hash}, {"gone.svg", hash}, {"kept.svg", hash}, {"changed.csv", hash}}));
  Write("figures/changed.csv", "by hand");
  EXPECT_THAT(Remove({{"kept.svg", "of whatever content"}}),
              ElementsAre(HasSubstr("changed.csv is of an earlier report"),
                          AllOf(HasSubstr("removed"), HasSubstr("stale.svg"))));
  EXPECT_FALSE(Exists("figures/stale.svg"));
  for (const char* name : {"kept.svg", "changed.csv", "own.csv", "report-files.sha256"}) {
    EXPECT_TRUE(Exists(absl::StrCat("figures/", name))) << name;
  }
}

TEST_F(ManifestTest, NeverAnythingOutsideNorAnotherKindOfFile) {
  const std::string hash = Sha256Hex("as written");
  Write("outside.svg", "as written");
  Write("figures/notes.txt", "as written");
  std::filesystem::create_symlink(Path("outside.svg"), Path("figures/link.svg"));
  std::filesystem::create_directory(Path("figures/directory.svg"));
  Write("figures/report-files.sha256", ManifestText({{"../outside.svg", hash},
                                                     {Path("outside.svg"), hash},
                                                     {"notes.txt", hash},
                                                     {"link.svg", hash},
                                                     {"directory.svg", hash}}));
  Remove({});
  for (const char* name :
       {"outside.svg", "figures/notes.txt", "figures/link.svg", "figures/directory.svg"}) {
    EXPECT_TRUE(Exists(name)) << name;
  }
}

TEST_F(ManifestTest, SumsOfSomebodyElseAreNoManifest) {
  Write("figures/own.svg", "as written");
  EXPECT_THAT(Remove({}), IsEmpty());
  Write("figures/report-files.sha256", Sha256Hex("as written") + "  own.svg\n");
  EXPECT_THAT(Remove({}), IsEmpty());
  EXPECT_TRUE(Exists("figures/own.svg"));
}

}  // namespace
}  // namespace modlab
