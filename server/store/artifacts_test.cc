#include "server/store/artifacts.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

// Of "abc", as FIPS 180-2 gives it.
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kNothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

class ArtifactsTest : public testing::Test {
 protected:
  static constexpr Artifacts::Options kLimits{/*bytes_max=*/1000, /*total_bytes_max=*/2500};

  ArtifactsTest() : artifacts_(*Artifacts::Open(dir_.path(), kLimits)) {}

  absl::StatusOr<Artifact> Store(const std::string& content) {
    auto upload = artifacts_->Create();
    if (!upload.ok()) return upload.status();
    absl::Status status = (*upload)->Append(content);
    if (!status.ok()) return status;
    absl::StatusOr<Artifact> artifact = (*upload)->Seal();
    if (artifact.ok()) status = (*upload)->Publish();
    if (!status.ok()) return status;
    return artifact;
  }

  absl::StatusOr<std::string> Read(const std::string& sha256, size_t piece_bytes) {
    auto reader = artifacts_->Read(sha256);
    if (!reader.ok()) return reader.status();
    std::string content;
    for (;;) {
      absl::StatusOr<std::string> piece = (*reader)->Next(piece_bytes);
      if (!piece.ok()) return piece.status();
      if (piece->empty()) return content;
      EXPECT_LE(piece->size(), piece_bytes);
      content += *piece;
    }
  }

  std::string PathOf(const std::string& sha256) const {
    return dir_.path() + "/artifacts/" + sha256.substr(0, 2) + "/" + sha256;
  }

  bool NothingInProgress() const {
    return std::filesystem::is_empty(dir_.path() + "/artifacts/tmp");
  }

  ScratchDir dir_;
  std::unique_ptr<Artifacts> artifacts_;
};

TEST_F(ArtifactsTest, ContentComesBackByItsHash) {
  auto upload = artifacts_->Create();
  ASSERT_TRUE(upload.ok());
  EXPECT_EQ((*upload)->Append("a"), absl::OkStatus());
  EXPECT_EQ((*upload)->Append(""), absl::OkStatus());
  EXPECT_EQ((*upload)->Append("bc"), absl::OkStatus());
  const absl::StatusOr<Artifact> artifact = (*upload)->Seal();
  ASSERT_EQ(artifact.status(), absl::OkStatus());
  EXPECT_EQ(artifact->sha256, kAbc);
  EXPECT_EQ(artifact->size_bytes, 3);
  EXPECT_FALSE(artifacts_->Contains(kAbc)) << "not published yet";
  EXPECT_EQ((*upload)->Publish(), absl::OkStatus());
  EXPECT_TRUE(artifacts_->Contains(kAbc));
  EXPECT_TRUE(std::filesystem::exists(PathOf(kAbc)));
  for (const size_t piece_bytes : {1, 2, 3, 100}) EXPECT_EQ(*Read(kAbc, piece_bytes), "abc");
  EXPECT_TRUE(NothingInProgress());
}

// A name whose directory is not on disk is not either.
TEST_F(ArtifactsTest, AllDirectoriesAreMadeAtTheStart) {
  int directories = 0;
  for (int i = 0; i < 256; ++i) {
    const std::string name = absl::StrCat(absl::Hex(i, absl::kZeroPad2));
    directories += std::filesystem::is_directory(dir_.path() + "/artifacts/" + name) ? 1 : 0;
  }
  EXPECT_EQ(directories, 256);
  std::filesystem::remove(dir_.path() + "/artifacts/ba");
  EXPECT_FALSE(Store("abc").ok());
  artifacts_ = *Artifacts::Open(dir_.path());
  EXPECT_EQ(Store("abc")->sha256, kAbc);
}

TEST_F(ArtifactsTest, NothingIsAnArtifactToo) {
  EXPECT_EQ(Store("")->sha256, kNothing);
  EXPECT_EQ(*Read(kNothing, 10), "");
}

TEST_F(ArtifactsTest, TheSameContentIsStoredOnce) {
  ASSERT_TRUE(Store("abc").ok());
  ASSERT_TRUE(Store("abc").ok());
  EXPECT_EQ(*Read(kAbc, 10), "abc");
}

TEST_F(ArtifactsTest, DamageIsFoundAndHealedByAnotherUpload) {
  ASSERT_TRUE(Store("abc").ok());
  for (const char* damaged : {"abd", "ab", "abcd", ""}) {
    std::ofstream(PathOf(kAbc), std::ios::trunc) << damaged;
    EXPECT_THAT(Read(kAbc, 2).status(), IsStatus(absl::StatusCode::kDataLoss));
  }
  ASSERT_TRUE(Store("abc").ok());
  EXPECT_EQ(*Read(kAbc, 2), "abc");
}

TEST_F(ArtifactsTest, OnlyHashesAreNames) {
  const std::string upper = "BA" + std::string(kAbc).substr(2);
  const std::string escape = "../" + std::string(61, 'a');
  for (const std::string& name : {std::string(), std::string("ab"), upper, escape,
                                  std::string(kAbc) + "0", std::string(64, '/')}) {
    EXPECT_THAT(Read(name, 1).status(), IsStatus(absl::StatusCode::kInvalidArgument)) << name;
  }
  EXPECT_THAT(Read(kAbc, 1).status(), IsStatus(absl::StatusCode::kNotFound));
}

TEST_F(ArtifactsTest, TheLimitIsKept) {
  EXPECT_TRUE(Store(std::string(1000, 'x')).ok());
  EXPECT_THAT(Store(std::string(1001, 'x')).status(), IsStatus(absl::StatusCode::kInvalidArgument))
      << "trying again does not help";
  EXPECT_TRUE(NothingInProgress());
}

TEST_F(ArtifactsTest, AllTogetherAreBounded) {
  EXPECT_TRUE(Store(std::string(1000, 'x')).ok());
  EXPECT_TRUE(Store(std::string(1000, 'x')).ok()) << "the same file";
  EXPECT_EQ(artifacts_->total_bytes(), 1000);
  EXPECT_TRUE(Store(std::string(1000, 'y')).ok());
  EXPECT_THAT(Store(std::string(501, 'z')).status(),
              IsStatus(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(artifacts_->total_bytes(), 2000);
  const std::string last = Store(std::string(500, 'z'))->sha256;
  EXPECT_THAT(Store("z").status(), IsStatus(absl::StatusCode::kResourceExhausted));

  // It counts again what is there.
  artifacts_ = *Artifacts::Open(dir_.path(), kLimits);
  EXPECT_EQ(artifacts_->total_bytes(), 2500);
  EXPECT_EQ(artifacts_->Remove(last), absl::OkStatus());
  EXPECT_FALSE(artifacts_->Contains(last));
  EXPECT_EQ(artifacts_->Remove(last), absl::OkStatus());
  EXPECT_EQ(artifacts_->total_bytes(), 2000);
  EXPECT_TRUE(Store("z").ok());
}

TEST_F(ArtifactsTest, UploadsInProgressCount) {
  auto upload = artifacts_->Create();
  ASSERT_EQ((*upload)->Append(std::string(1000, 'x')), absl::OkStatus());
  EXPECT_EQ(artifacts_->total_bytes(), 1000);
  upload->reset();
  EXPECT_EQ(artifacts_->total_bytes(), 0);
}

TEST_F(ArtifactsTest, AnUploadThatIsDroppedLeavesNothing) {
  {
    auto upload = artifacts_->Create();
    ASSERT_TRUE(upload.ok());
    ASSERT_EQ((*upload)->Append("abc"), absl::OkStatus());
    EXPECT_FALSE(NothingInProgress());
  }
  EXPECT_TRUE(NothingInProgress());
  EXPECT_THAT(Read(kAbc, 1).status(), IsStatus(absl::StatusCode::kNotFound));
}

TEST_F(ArtifactsTest, WhatACrashLeftIsRemovedAtTheNextStart) {
  ASSERT_TRUE(Store("abc").ok());
  std::ofstream(dir_.path() + "/artifacts/tmp/upload-dead00") << "half";
  artifacts_ = *Artifacts::Open(dir_.path());
  EXPECT_TRUE(NothingInProgress());
  EXPECT_EQ(*Read(kAbc, 10), "abc");
}

}  // namespace
}  // namespace modlab
