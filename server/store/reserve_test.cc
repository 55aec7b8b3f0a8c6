#include "server/store/reserve.h"

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "server/store/store_fixture.h"

namespace modlab {
namespace {

constexpr int64_t kMiB = 1 << 20;

class ReserveTest : public testing::Test {
 protected:
  // What the file takes on the disk; -1: there is none.
  int64_t TakenBytes() const {
    struct stat facts = {};
    return stat(path_.c_str(), &facts) == 0 ? int64_t{facts.st_blocks} * 512 : -1;
  }

  ScratchDir dir_;
  const std::string path_ = dir_.path() + "/reserve";
};

TEST_F(ReserveTest, TakesRoomUntilItIsLetGo) {
  Reserve reserve(path_, kMiB);
  EXPECT_EQ(TakenBytes(), -1);
  EXPECT_FALSE(reserve.LetGo());
  ASSERT_EQ(reserve.Keep(), absl::OkStatus());
  EXPECT_GE(TakenBytes(), kMiB);
  ASSERT_EQ(reserve.Keep(), absl::OkStatus());
  EXPECT_TRUE(reserve.LetGo());
  EXPECT_EQ(TakenBytes(), -1);
  EXPECT_FALSE(reserve.LetGo());
  ASSERT_EQ(reserve.Keep(), absl::OkStatus());
  EXPECT_GE(TakenBytes(), kMiB);
}

TEST_F(ReserveTest, IsFoundAgainByTheNextStart) {
  ASSERT_EQ(Reserve(path_, 2 * kMiB).Keep(), absl::OkStatus());
  Reserve next(path_, kMiB);
  ASSERT_EQ(next.Keep(), absl::OkStatus());
  EXPECT_EQ(std::filesystem::file_size(path_), static_cast<uintmax_t>(kMiB));
  EXPECT_TRUE(next.LetGo());
}

TEST_F(ReserveTest, TakesNothingWhereThereIsTooLittle) {
  Reserve reserve(dir_.path() + "/none/reserve", kMiB);
  EXPECT_THAT(reserve.Keep(), IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(reserve.LetGo());
}

}  // namespace
}  // namespace modlab
