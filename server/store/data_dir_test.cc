#include "server/store/data_dir.h"

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>
#include <string>

#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::HasSubstr;

// Another process that holds `path`, and listens on "unix:/there" if `listens`,
// until it is killed.
class OtherCoordinator {
 public:
  OtherCoordinator(const std::string& path, bool listens) {
    int ready[2];
    if (pipe(ready) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      const auto dir = DataDir::Acquire(path);
      const bool ok = dir.ok() && (!listens || (*dir)->SetAddress("unix:/there").ok());
      if (write(ready[1], ok ? "y" : "n", 1) == 1) pause();
      _exit(0);
    }
    close(ready[1]);
    char answer = 0;
    EXPECT_EQ(read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    close(ready[0]);
  }
  ~OtherCoordinator() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

class DataDirTest : public testing::Test {
 protected:
  ScratchDir scratch_;
  const std::string path_ = scratch_.path() + "/deep/data";
};

TEST_F(DataDirTest, IsMadeAndTellsWhereItsHolderListens) {
  EXPECT_EQ(*DataDir::RunningAddress(path_), std::nullopt);
  auto dir = DataDir::Acquire(path_);
  ASSERT_EQ(dir.status(), absl::OkStatus());
  EXPECT_EQ((*dir)->path(), path_);
  EXPECT_THAT(DataDir::RunningAddress(path_).status(), IsStatus(absl::StatusCode::kUnavailable));
  ASSERT_EQ((*dir)->SetAddress("127.0.0.1:12345"), absl::OkStatus());
  EXPECT_EQ(*DataDir::RunningAddress(path_), std::optional<std::string>("127.0.0.1:12345"));
  ASSERT_EQ((*dir)->SetAddress("[::]:1"), absl::OkStatus());
  EXPECT_EQ(*DataDir::RunningAddress(path_), std::optional<std::string>("[::]:1"));
  dir->reset();
  EXPECT_EQ(*DataDir::RunningAddress(path_), std::nullopt);
}

TEST_F(DataDirTest, ASecondCoordinatorIsRefusedAndToldOfTheFirst) {
  const OtherCoordinator other(path_, true);
  const absl::Status status = DataDir::Acquire(path_).status();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kFailedPrecondition));
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(path_));
  EXPECT_THAT(message, HasSubstr(absl::StrCat("process ", other.pid())));
  EXPECT_THAT(message, HasSubstr("unix:/there"));
  EXPECT_EQ(*DataDir::RunningAddress(path_), std::optional<std::string>("unix:/there"));
}

TEST_F(DataDirTest, OneThatDoesNotListenYetHoldsItToo) {
  const OtherCoordinator other(path_, false);
  EXPECT_THAT(std::string(DataDir::Acquire(path_).status().message()),
              HasSubstr("not listening yet"));
  EXPECT_THAT(DataDir::RunningAddress(path_).status(), IsStatus(absl::StatusCode::kUnavailable));
}

TEST_F(DataDirTest, TheDeadHoldNothing) {
  { const OtherCoordinator other(path_, true); }
  EXPECT_EQ(*DataDir::RunningAddress(path_), std::nullopt);
  const auto dir = DataDir::Acquire(path_);
  ASSERT_EQ(dir.status(), absl::OkStatus());
  // The address of the dead is not taken for this one's.
  EXPECT_THAT(DataDir::RunningAddress(path_).status(), IsStatus(absl::StatusCode::kUnavailable));
}

TEST_F(DataDirTest, AFileInTheWayIsNamed) {
  std::ofstream(scratch_.path() + "/deep") << "x";
  const absl::Status status = DataDir::Acquire(path_).status();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_EQ(*DataDir::RunningAddress(path_), std::nullopt);
}

}  // namespace
}  // namespace modlab
