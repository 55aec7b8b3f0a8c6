// What an audit finds in the artifacts of a store.

#include <filesystem>
#include <fstream>
#include <string>

#include "server/care/audit_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class ArtifactAuditTest : public AuditTest {
 protected:
  ArtifactAuditTest()
      : weights_(Get(good_.finished).result().checkpoint_sha256()), file_(FileOf(weights_)) {}
  const std::string weights_, file_;
};

TEST_F(ArtifactAuditTest, AFileThatIsMissing) {
  std::filesystem::remove(file_);
  Expect("bad_artifact", "artifact " + weights_);
}

TEST_F(ArtifactAuditTest, AFileOfAnotherSize) {
  std::ofstream(file_, std::ios::app) << "x";
  Expect("bad_artifact", "artifact " + weights_);
}

TEST_F(ArtifactAuditTest, AFileOfOtherContent) {
  std::fstream(file_) << "L";
  Expect("bad_artifact", "artifact " + weights_);
  AuditOptions options;
  options.checksums = false;
  EXPECT_THAT(AuditIt(options).Lines(), IsEmpty());
  options = {};
  options.sweep = "good";
  EXPECT_THAT(AuditIt(options).Kinds(), ElementsAre("bad_artifact"));
}

TEST_F(ArtifactAuditTest, AFileThatNothingKnows) {
  const std::string sha256(64, 'c');
  std::filesystem::create_directories(dir_.path() + "/artifacts/cc");
  std::ofstream(FileOf(sha256)) << "x";
  std::ofstream(dir_.path() + "/artifacts/notes.txt") << "x";
  Expect("orphan_artifact");
  EXPECT_EQ(AuditIt().damage.size(), 2u);
}

TEST_F(ArtifactAuditTest, AnArtifactThatNothingNeedsIsNone) {
  Begin();
  const std::string with_file = Put("unused");
  EXPECT_EQ(writer()->RegisterArtifact(std::string(64, 'd'), 1, 2500), absl::OkStatus());
  Commit();
  EXPECT_THAT(AuditIt().Lines(), IsEmpty());
}

TEST_F(ArtifactAuditTest, AReferenceThatIsMissing) {
  Break(absl::StrCat("DELETE FROM artifact_refs WHERE role = 1 AND job = ", good_.finished));
  Expect("bad_reference", Finished());
}

TEST_F(ArtifactAuditTest, AReferenceWithoutReason) {
  Break(absl::StrCat("INSERT INTO artifact_refs VALUES ('", weights_, "', 3, ", good_.cancelled,
                     ")"));
  Expect("bad_reference", absl::StrCat("job ", good_.cancelled));
}

TEST_F(ArtifactAuditTest, ReferencesThatAreMiscounted) {
  Break("UPDATE artifacts SET refs = 2 WHERE sha256 = '" + weights_ + "'");
  Expect("bad_reference_count", "artifact " + weights_);
}

TEST_F(ArtifactAuditTest, ARowThatIsMissing) {
  Break("DELETE FROM artifacts WHERE sha256 = '" + weights_ + "'");
  const std::set<std::string> kinds = AuditIt().Kinds();
  EXPECT_THAT(kinds, ElementsAre("broken_reference", "orphan_artifact"));
}

TEST_F(ArtifactAuditTest, ACheckpointOfAFinishedJob) {
  Break(absl::StrCat("UPDATE jobs SET checkpoint_iteration = 10 WHERE id = ", good_.finished));
  Expect("bad_checkpoint", Finished());
}

}  // namespace
}  // namespace modlab
