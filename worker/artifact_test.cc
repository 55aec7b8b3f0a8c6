// Files on their way to the coordinator and back.

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "worker/artifact_download.h"
#include "worker/artifact_upload.h"
#include "worker/coordinator_link_fixture.h"

namespace modlab {
namespace {

using std::chrono::milliseconds;
using ArtifactUploadTest = CoordinatorLinkTest;

bool Always(const absl::Status& /*error*/) { return true; }

TEST_F(ArtifactUploadTest, UploadsInPiecesAndTriesAgainWhileTheCoordinatorIsInTrouble) {
  StartServer();
  coordinator_.upload_failures = 2;
  const std::string content(2'500'000, 'w');
  const auto sha256 = UploadArtifact(channel_, content, Always);
  ASSERT_TRUE(sha256.ok()) << sha256.status();
  EXPECT_EQ(*sha256, "sha256 of 2500000 bytes");
}

TEST_F(ArtifactUploadTest, UploadWaitsForACoordinatorThatComesLater) {
  std::thread late([this] {
    std::this_thread::sleep_for(milliseconds(300));
    StartServer();
  });
  const auto sha256 = UploadArtifact(channel_, "weights", Always);
  late.join();
  EXPECT_TRUE(sha256.ok()) << sha256.status();
}

TEST_F(ArtifactUploadTest, UploadGivesUpWhereTryingAgainCannotHelp) {
  StartServer();
  coordinator_.upload_failures = 1;
  coordinator_.upload_failure = grpc::StatusCode::INVALID_ARGUMENT;
  EXPECT_TRUE(absl::IsInvalidArgument(UploadArtifact(channel_, "weights", Always).status()));
  EXPECT_EQ(coordinator_.upload_failures, 0);
}

TEST_F(ArtifactUploadTest, UploadGivesUpWhenItIsNoLongerWanted) {
  int asked = 0;
  const auto thrice = [&](const absl::Status& error) {
    EXPECT_TRUE(absl::IsUnavailable(error)) << error;
    return ++asked < 3;
  };
  EXPECT_TRUE(absl::IsUnavailable(UploadArtifact(channel_, "weights", thrice).status()));
  EXPECT_EQ(asked, 3);
}

class ArtifactDownloadTest : public CoordinatorLinkTest {
 protected:
  ArtifactDownloadTest() {
    checkpoint_.set_iteration(500);
    checkpoint_.set_sha256(Sha256Hex(kContent));
    checkpoint_.set_size_bytes(sizeof(kContent) - 1);
    StartServer();
  }

  absl::StatusOr<std::string> Download() {
    return DownloadCheckpoint(channel_, checkpoint_, [] { return true; });
  }

  v1::TrainingCheckpoint checkpoint_;
};

TEST_F(ArtifactDownloadTest, ComesInPiecesAndAgainWhileTheCoordinatorIsInTrouble) {
  coordinator_.download_failures = 2;
  const auto file = Download();
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*file, kContent);
}

TEST_F(ArtifactDownloadTest, WhatIsGoneIsNotAskedForAgain) {
  for (const grpc::StatusCode code :
       {grpc::StatusCode::NOT_FOUND, grpc::StatusCode::DATA_LOSS,
        grpc::StatusCode::PERMISSION_DENIED, grpc::StatusCode::UNIMPLEMENTED}) {
    coordinator_.download_failures = 1;
    coordinator_.download_failure = code;
    EXPECT_EQ(static_cast<int>(Download().status().code()), static_cast<int>(code));
    EXPECT_EQ(coordinator_.download_failures, 0);
  }
}

TEST_F(ArtifactDownloadTest, OtherContentIsDataLoss) {
  for (const char* served : {"", "where training stand", "where training standS",
                             "where training stands and much more"}) {
    coordinator_.served = served;
    EXPECT_TRUE(absl::IsDataLoss(Download().status())) << Download().status();
  }
}

TEST_F(ArtifactDownloadTest, RefusesAbsurdSizes) {
  for (const int64_t size : {int64_t{-1}, (int64_t{4} << 30) + 1}) {
    checkpoint_.set_size_bytes(size);
    EXPECT_TRUE(absl::IsInvalidArgument(Download().status()));
  }
}

TEST_F(ArtifactDownloadTest, GivesUpWhenItIsNoLongerWanted) {
  StopServer();
  int asked = 0;
  EXPECT_TRUE(absl::IsCancelled(
      DownloadCheckpoint(channel_, checkpoint_, [&] { return ++asked < 3; }).status()));
}

}  // namespace
}  // namespace modlab
