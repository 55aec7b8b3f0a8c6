#include "lib/weights/zip_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace modlab {
namespace {

using testing::HasSubstr;

std::string Example() {
  const auto bytes =
      WriteZip({{"a/first", "one"}, {"a/second", std::string(5000, '2')}, {"b", ""}});
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return *bytes;
}

TEST(ZipArchiveTest, ReadsBackWhatItWrote) {
  const std::string bytes = Example();
  auto reader = ZipReader::Open(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->FirstName(), "a/first");
  EXPECT_TRUE(reader->Has("b"));
  EXPECT_FALSE(reader->Has("c"));
  EXPECT_EQ(reader->Read("a/second").value(), std::string(5000, '2'));
  EXPECT_EQ(reader->Read("a/first").value(), "one");
  EXPECT_EQ(reader->Read("b").value(), "");
  EXPECT_THAT(reader->Read("c").status().message(),
              HasSubstr("c in the zip archive: there is none"));
}

TEST(ZipArchiveTest, StoresEveryEntryAsItIsAndDatesItAtTheBeginningOfTime) {
  const std::string bytes = Example();
  // Version, flags, method, time, date of the local header.
  EXPECT_EQ(bytes.substr(0, 14), std::string("PK\x03\x04\x0a\0\0\0\0\0\0\0\x21\0", 14));
  EXPECT_THAT(bytes, HasSubstr(std::string(5000, '2')));
}

TEST(ZipArchiveTest, RefusesEveryTruncation) {
  const std::string bytes = Example();
  for (size_t length = 1; length < bytes.size(); ++length) {
    EXPECT_FALSE(ZipReader::Open(absl::string_view(bytes).substr(0, length)).ok()) << length;
  }
}

TEST(ZipArchiveTest, NoticesDamagedBytes) {
  std::string bytes = Example();
  bytes[bytes.find("one")] = 'O';
  auto reader = ZipReader::Open(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(reader->Read("a/first").status().message(), HasSubstr("damaged"));
}

TEST(ZipArchiveTest, RefusesWhatIsCompressed) {
  std::string bytes = Example();
  bytes[bytes.find("PK\x01\x02") + 10] = 8;  // deflate
  auto reader = ZipReader::Open(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(reader->Read("a/first").status().message(), HasSubstr("compressed"));
}

TEST(ZipArchiveTest, TakesNoMoreMemoryThanTheArchiveHasBytes) {
  std::string bytes = Example();
  const size_t entry = bytes.find("PK\x01\x02");
  for (size_t field : {20, 24}) bytes.replace(entry + field, 4, "\xff\xff\xff\x7f");  // sizes
  auto reader = ZipReader::Open(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT(reader->Read("a/first").status().message(), HasSubstr("longer than the file"));

  const std::string whole = Example();
  reader = ZipReader::Open(whole);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->Read("a/second").ok());
  EXPECT_THAT(reader->Read("a/second").status().message(), HasSubstr("overlaps others"));
}

TEST(ZipArchiveTest, RefusesAnAbsurdNumberOfEntries) {
  // A zip64 directory of 2^34 entries in a file of 300 bytes.
  std::string bytes = "PK\x03\x04" + std::string(200, '\0');
  const auto number = [&bytes](uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  };
  const uint64_t directory = bytes.size();
  bytes += "PK\x06\x06";
  number(44, 8);                 // its size
  number(45, 2);                 // version made by
  number(45, 2);                 // version needed
  number(0, 8);                  // disks
  number(uint64_t{1} << 34, 8);  // entries here
  number(uint64_t{1} << 34, 8);  // entries
  number(100, 8);                // bytes of the directory
  number(4, 8);                  // where it is
  bytes += "PK\x06\x07";
  number(0, 4);  // disk
  number(directory, 8);
  number(1, 4);  // disks
  bytes += "PK\x05\x06";
  number(~uint64_t{0}, 8);
  number(~uint64_t{0}, 8);
  number(0, 2);  // comment
  EXPECT_FALSE(ZipReader::Open(bytes).ok());
}

}  // namespace
}  // namespace modlab
