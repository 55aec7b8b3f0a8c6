#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "server/store/schema.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::HasSubstr;

class MigrationsTest : public testing::Test {
 protected:
  std::string File() const { return dir_.path() + "/modlab.db"; }

  std::unique_ptr<Connection> Open() {
    return *Connection::Open(File(), Connection::Mode::kReadWriteCreate);
  }

  static int64_t Number(Connection* connection, const char* sql) {
    Statement statement = connection->Prepare(sql);
    EXPECT_TRUE(statement.Step().value());
    return statement.Int(0);
  }

  static int64_t Version(Connection* connection) {
    return Number(connection, "PRAGMA user_version");
  }

  ScratchDir dir_;
};

TEST_F(MigrationsTest, ANewStoreHasTheNewestSchema) {
  ASSERT_TRUE(Store::Open(dir_.path()).ok());
  EXPECT_EQ(Version(Open().get()), static_cast<int64_t>(Migrations().size()));
  ASSERT_TRUE(Store::Open(dir_.path()).ok());
}

TEST_F(MigrationsTest, ANewerSchemaIsRefused) {
  ASSERT_TRUE(Store::Open(dir_.path()).ok());
  ASSERT_EQ(Open()->Execute("PRAGMA user_version = 1234"), absl::OkStatus());
  const absl::Status status = Store::Open(dir_.path()).status();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kFailedPrecondition));
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(File()));
  EXPECT_THAT(message, HasSubstr("1234"));
  EXPECT_THAT(message, HasSubstr(absl::StrCat("up to ", Migrations().size())));
  EXPECT_EQ(Version(Open().get()), 1234);
}

TEST_F(MigrationsTest, EachIsAppliedOnceAndInOrder) {
  const auto connection = Open();
  ASSERT_EQ(Migrate(connection.get(), {"CREATE TABLE t (x); INSERT INTO t VALUES (1);"}),
            absl::OkStatus());
  ASSERT_EQ(Migrate(connection.get(), {"CREATE TABLE t (x); INSERT INTO t VALUES (1);",
                                       "UPDATE t SET x = x + 10;", "UPDATE t SET x = x * 2;"}),
            absl::OkStatus());
  EXPECT_EQ(Number(connection.get(), "SELECT sum(x) FROM t"), 22);
  EXPECT_EQ(Version(connection.get()), 3);
}

TEST_F(MigrationsTest, OneThatFailsChangesNothing) {
  const auto connection = Open();
  EXPECT_FALSE(
      Migrate(connection.get(), {"CREATE TABLE t (x);", "CREATE TABLE u (x); nonsense;"}).ok());
  EXPECT_EQ(Version(connection.get()), 1);
  EXPECT_EQ(Number(connection.get(), "SELECT count(*) FROM sqlite_schema"), 1);
  EXPECT_FALSE(connection->in_transaction());
}

TEST_F(MigrationsTest, AFileThatIsNoDatabaseIsNamed) {
  std::ofstream(File()) << std::string(10000, 'x');
  const absl::Status status = Store::Open(dir_.path()).status();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kInternal));
  EXPECT_THAT(std::string(status.message()), HasSubstr(File()));
}

TEST_F(MigrationsTest, AnUnknownVfsIsRefused) {
  StoreOptions options;
  options.vfs = "no-such-vfs";
  const absl::Status status = Store::Open(dir_.path(), options).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-vfs"));
}

TEST_F(MigrationsTest, ADirectoryThatIsNotThereIsRefused) {
  EXPECT_THAT(Store::Open(dir_.path() + "/none").status(),
              IsStatus(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace modlab
