#include "server/access/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
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

constexpr char kCheckHealth[] = "/grpc.health.v1.Health/Check";
constexpr char kList[] = "/modlab.v1.SweepService/ListSweeps";
constexpr char kCreate[] = "/modlab.v1.SweepService/CreateSweep";
constexpr char kDrain[] = "/modlab.v1.WorkerService/DrainWorker";

class AccessTest : public testing::Test {
 protected:
  AccessTest() : dir_(testing::TempDir() + "/modlab-access-XXXXXX") {
    EXPECT_NE(mkdtemp(dir_.data()), nullptr);
  }
  ~AccessTest() override { std::filesystem::remove_all(dir_); }

  Access::Options Required() const {
    Access::Options options;
    options.data_dir = dir_;
    options.tokens_required = true;
    return options;
  }

  // What a caller with a new token sends.
  std::string Create(const std::string& name, Role role,
                     absl::Duration valid = absl::InfiniteDuration()) {
    NewToken made;
    EXPECT_TRUE(ChangeTokenFile(dir_, [&](std::vector<Token>* tokens) {
                  made = *MakeToken(name, role, now_, now_ + valid, *tokens);
                  tokens->push_back(made.token);
                  return absl::OkStatus();
                }).ok());
    return absl::StrCat("Bearer ", made.text);
  }

  void RevokeAll() {
    EXPECT_TRUE(ChangeTokenFile(dir_, [](std::vector<Token>* tokens) {
                  tokens->clear();
                  return absl::OkStatus();
                }).ok());
  }

  std::string dir_;
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
};

TEST_F(AccessTest, WhereNoTokenIsAskedForAllIsOpen) {
  Access::Options options;
  options.data_dir = dir_;
  Access access(options);
  EXPECT_TRUE(access.Check(kDrain, "", now_).ok());
  EXPECT_TRUE(access.Check(kDrain, "Bearer nonsense", now_).ok());
  EXPECT_TRUE(absl::IsUnimplemented(access.Check("/no/Method", "", now_)));
  EXPECT_EQ(access.User("", now_), "");
  EXPECT_EQ(access.User(Create("ada", Role::kRead), now_), "ada");
  EXPECT_EQ(access.User("Bearer nonsense", now_), "");
}

TEST_F(AccessTest, ACallWithoutAValidTokenIsNotLetIn) {
  Access access(Required());
  const std::string good = Create("ada", Role::kAdmin);
  EXPECT_TRUE(access.Check(kCheckHealth, "", now_).ok());
  EXPECT_TRUE(access.Check(kDrain, good, now_).ok());
  for (const std::string& bad :
       {std::string(), std::string("Bearer "), std::string("Bearer x"), good.substr(7),
        absl::StrCat("Basic ", good.substr(7)), good + "x", good.substr(0, good.size() - 1)}) {
    EXPECT_TRUE(absl::IsUnauthenticated(access.Check(kList, bad, now_))) << bad;
    EXPECT_TRUE(absl::IsUnauthenticated(access.Check("/no/Method", bad, now_))) << bad;
  }
  EXPECT_TRUE(absl::IsUnimplemented(access.Check("/no/Method", good, now_)));
}

TEST_F(AccessTest, TheRoleDecides) {
  Access access(Required());
  const std::string read = Create("ada", Role::kRead);
  EXPECT_TRUE(access.Check(kList, read, now_).ok());
  const absl::Status denied = access.Check(kCreate, read, now_);
  EXPECT_TRUE(absl::IsPermissionDenied(denied));
  EXPECT_THAT(std::string(denied.message()),
              AllOf(HasSubstr("ada"), HasSubstr("role read"), HasSubstr("CreateSweep"),
                    HasSubstr("submit or admin"), Not(HasSubstr(read.substr(20)))));
}

TEST_F(AccessTest, ATokenIsGoodUntilItExpiresOrIsRevoked) {
  Access access(Required());
  const std::string day = Create("ada", Role::kRead, absl::Hours(24));
  const std::string ever = Create("bob", Role::kRead);
  EXPECT_TRUE(access.Check(kList, day, now_ + absl::Hours(23)).ok());
  const absl::Status expired = access.Check(kList, day, now_ + absl::Hours(24));
  EXPECT_TRUE(absl::IsUnauthenticated(expired));
  EXPECT_THAT(std::string(expired.message()), HasSubstr("expired"));
  EXPECT_TRUE(absl::IsUnauthenticated(access.Recheck(kList, day, now_ + absl::Hours(24))));
  EXPECT_TRUE(access.Check(kList, ever, now_ + absl::Hours(1'000'000)).ok());
  RevokeAll();
  EXPECT_TRUE(absl::IsUnauthenticated(access.Check(kList, ever, now_)));
  EXPECT_TRUE(absl::IsUnauthenticated(access.Recheck(kList, ever, now_)));
  EXPECT_TRUE(access.Check(kList, Create("eve", Role::kRead), now_).ok());
}

TEST_F(AccessTest, WithADamagedFileNobodyIsLetIn) {
  Access access(Required());
  const std::string good = Create("ada", Role::kAdmin);
  EXPECT_TRUE(access.Check(kList, good, now_).ok());
  const std::string path = TokenFilePath(dir_);
  std::filesystem::copy_file(path, dir_ + "/good");
  std::ofstream(path, std::ios::trunc) << "{\"tokens\": [";
  EXPECT_TRUE(absl::IsUnavailable(access.Check(kList, good, now_)));
  EXPECT_TRUE(absl::IsUnavailable(access.Check(kList, good, now_)));
  EXPECT_EQ(access.User(good, now_), "");
  std::filesystem::rename(dir_ + "/good", path);
  EXPECT_TRUE(access.Check(kList, good, now_).ok());
  std::filesystem::remove(path);
  EXPECT_TRUE(absl::IsUnauthenticated(access.Check(kList, good, now_)));
}

TEST_F(AccessTest, ChangesAreCountedByUser) {
  Access access(Required());
  const std::string ada = Create("ada", Role::kSubmit);
  const std::string ada_too = Create("ada", Role::kSubmit);
  const std::string bob = Create("bob", Role::kSubmit);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(access.Check(kCreate, i % 2 == 0 ? ada : ada_too, now_).ok()) << i;
  }
  const absl::Status limited = access.Check(kCreate, ada_too, now_);
  EXPECT_TRUE(absl::IsResourceExhausted(limited));
  EXPECT_THAT(std::string(limited.message()),
              AllOf(HasSubstr("ada"), HasSubstr("50"), HasSubstr("10")));
  EXPECT_TRUE(access.Check(kList, ada, now_).ok()) << "reading is not counted";
  EXPECT_TRUE(access.Check(kCreate, bob, now_).ok()) << "others are not held up";
  now_ += absl::Milliseconds(1000);
  int allowed = 0;
  while (access.Check(kCreate, ada, now_).ok()) ++allowed;
  EXPECT_EQ(allowed, 10);
  now_ -= absl::Hours(1);  // a clock that is set back gives and takes nothing
  EXPECT_FALSE(access.Check(kCreate, ada, now_).ok());
}

}  // namespace
}  // namespace modlab
