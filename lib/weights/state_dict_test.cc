#include "lib/weights/state_dict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/weights/zip_archive.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Written by torch.save of PyTorch 1.13:
//   linear.pt  the state_dict() of a module: encoder = Linear(3, 2), norm = LayerNorm(2)
//   views.pt   with x = arange(6.).reshape(2, 3), the dict(transposed=x.t(), row=x[1],
//              column=x[:, 1:2], scalar=tensor(3.5), expanded=x[0].expand(2, 2, 3),
//              empty=zeros(0, 3), parameter=Parameter(x[1:]), double=x.double() / 3,
//              half=tensor([1, -0.5, 65504, 6e-8, inf, 0.1]).half(),
//              bfloat16=tensor([1, -2.5, 3e38]).bfloat16())
std::string Saved(const std::string& name) {
  std::ifstream file(absl::StrCat(MODLAB_TESTDATA, "/", name), std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TensorFile Example() {
  TensorFile file;
  file.tensors.push_back({"encoder.weight", {2, 3}, {1, 2, 3, 4, 5, 6}});
  file.tensors.push_back({"scalar", {}, {-0.5F}});
  file.tensors.push_back({"empty", {0, 3}, {}});
  return file;
}

bool Equal(const TensorFile& a, const TensorFile& b) {
  if (a.tensors.size() != b.tensors.size()) return false;
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    if (a.tensors[i].name != b.tensors[i].name || a.tensors[i].shape != b.tensors[i].shape ||
        a.tensors[i].values != b.tensors[i].values) {
      return false;
    }
  }
  return true;
}

// The message for an archive of these entries.
std::string Refusal(const std::vector<ZipEntry>& entries) {
  const auto read = DecodeStateDict(WriteZip(entries).value());
  EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(read.status().message());
}

std::string Integer(int64_t number) {
  std::string bytes = "\x8a\x08";
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
  return bytes;
}

std::string Text(const std::string& text) {
  return absl::StrCat("X", std::string(1, static_cast<char>(text.size())), std::string(3, '\0'),
                      text);
}

// The pickle of one tensor, "a", in a storage of `size` floats.
std::string OneTensor(int64_t size, int64_t offset, const std::vector<int64_t>& shape,
                      const std::vector<int64_t>& strides) {
  std::string pickle = absl::StrCat("\x80\x02}", Text("a"), "ctorch._utils\n_rebuild_tensor_v2\n((",
                                    Text("storage"), "ctorch\nFloatStorage\n", Text("0"),
                                    Text("cpu"), Integer(size), "tQ", Integer(offset), "(");
  for (int64_t extent : shape) pickle += Integer(extent);
  pickle += "t(";
  for (int64_t stride : strides) pickle += Integer(stride);
  return absl::StrCat(pickle, "t\x89}tRs.");
}

TEST(StateDictTest, ReadsBackWhatItWrote) {
  const auto bytes = EncodeStateDict(Example());
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto file = DecodeStateDict(*bytes);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(Equal(*file, Example()));
  EXPECT_TRUE(DecodeStateDict(EncodeStateDict({}).value()).value().tensors.empty());
}

TEST(StateDictTest, EqualContentsGiveEqualBytes) {
  TensorFile other = Example();
  other.metadata["job_key"] = "00ff";
  EXPECT_EQ(EncodeStateDict(Example()).value(), EncodeStateDict(other).value());
  other.tensors[1].values[0] = 0;
  EXPECT_NE(EncodeStateDict(Example()).value(), EncodeStateDict(other).value());
}

TEST(StateDictTest, HasTheLayoutThatTorchLoadWants) {
  const std::string bytes = EncodeStateDict(Example()).value();
  auto archive = ZipReader::Open(bytes);
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_EQ(archive->FirstName(), "archive/data.pkl");
  EXPECT_EQ(archive->Read("archive/version").value(), "3\n");
  EXPECT_EQ(archive->Read("archive/data/1").value(), std::string("\0\0\0\xbf", 4));
  EXPECT_EQ(archive->Read("archive/data/2").value(), "");
}

TEST(StateDictTest, ReadsAModuleThatPyTorchSaved) {
  const auto file = DecodeStateDict(Saved("linear.pt"));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->tensors.size(), 4u);
  EXPECT_EQ(file->tensors[0].name, "encoder.weight");
  EXPECT_THAT(file->tensors[0].shape, ElementsAre(2, 3));
  EXPECT_THAT(file->tensors[0].values, ElementsAre(0, 0.25, 0.5, 0.75, 1, 1.25));
  EXPECT_EQ(file->tensors[1].name, "encoder.bias");
  EXPECT_THAT(file->tensors[1].values, ElementsAre(-1, 0.5));
  EXPECT_EQ(file->tensors[2].name, "norm.weight");
  EXPECT_EQ(file->tensors[3].name, "norm.bias");
}

TEST(StateDictTest, ReadsViewsAndOtherTypesThatPyTorchSaved) {
  const auto file = DecodeStateDict(Saved("views.pt"));
  ASSERT_TRUE(file.ok()) << file.status();
  const float third = 1.0F / 3;
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<NamedArray> expected = {
      {"transposed", {3, 2}, {0, 3, 1, 4, 2, 5}},
      {"row", {3}, {3, 4, 5}},
      {"column", {2, 1}, {1, 4}},
      {"scalar", {}, {3.5F}},
      {"expanded", {2, 2, 3}, {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}},
      {"empty", {0, 3}, {}},
      {"parameter", {1, 3}, {3, 4, 5}},
      {"double", {2, 3}, {0, third, 2 * third, 1, 4 * third, static_cast<float>(5.0 / 3)}},
      {"half", {6}, {1, -0.5F, 65504, std::ldexp(1.0F, -24), infinity, 0.0999755859375F}},
      {"bfloat16", {3}, {1, -2.5F, std::ldexp(226.0F, 120)}},
  };
  ASSERT_EQ(file->tensors.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(file->tensors[i].name, expected[i].name);
    EXPECT_EQ(file->tensors[i].shape, expected[i].shape) << expected[i].name;
    EXPECT_EQ(file->tensors[i].values, expected[i].values) << expected[i].name;
  }
}

TEST(StateDictTest, RefusesEveryTruncation) {
  for (const std::string& bytes : {EncodeStateDict(Example()).value(), Saved("views.pt")}) {
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(DecodeStateDict(absl::string_view(bytes).substr(0, length)).ok()) << length;
    }
  }
}

TEST(StateDictTest, AFlippedByteIsNoticedOrDoesNoHarm) {
  for (const std::string& bytes : {EncodeStateDict(Example()).value(), Saved("views.pt")}) {
    const TensorFile original = DecodeStateDict(bytes).value();
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (unsigned char flip : {0x01, 0x80, 0xff}) {
        std::string damaged = bytes;
        damaged[i] = static_cast<char>(static_cast<unsigned char>(damaged[i]) ^ flip);
        const auto read = DecodeStateDict(damaged);
        EXPECT_TRUE(!read.ok() || Equal(*read, original)) << i;
      }
    }
  }
}

TEST(StateDictTest, ReadsAnArchiveOfAnyName) {
  const std::string zeros(24, '\0');
  const std::string pickle = OneTensor(6, 0, {6}, {1});
  for (const std::string folder : {"archive", "model_best", "a b"}) {
    const auto read = DecodeStateDict(WriteZip({{folder + "/data.pkl", pickle},
                                                {folder + "/byteorder", "little"},
                                                {folder + "/data/0", zeros},
                                                {folder + "/version", "3\n"},
                                                {folder + "/.data/serialization_id", "17"}})
                                          .value());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->tensors.at(0).values, std::vector<float>(6));
  }
}

TEST(StateDictTest, RefusesArchivesThatAreNotWhole) {
  const std::string zeros(24, '\0');
  const std::string pickle = OneTensor(6, 0, {6}, {1});
  EXPECT_THAT(Refusal({{"notes.txt", "hello"}}), HasSubstr("data.pkl in the zip archive"));
  EXPECT_THAT(Refusal({{"a/data.pkl", pickle}}), HasSubstr("a/data/0 in the zip archive"));
  EXPECT_THAT(Refusal({{"a/data.pkl", pickle}, {"b/data/0", zeros}}), HasSubstr("a/data/0"));
  EXPECT_THAT(Refusal({{"a/data.pkl", pickle}, {"a/data/0", zeros.substr(1)}}),
              HasSubstr("a: its storage has 23 bytes, not 6 numbers of 4 bytes"));
  EXPECT_THAT(Refusal({{"a/data.pkl", pickle}, {"a/data/0", zeros}, {"a/byteorder", "big"}}),
              HasSubstr("not little-endian"));
}

TEST(StateDictTest, RefusesTensorsThatReachBeyondTheirStorage) {
  const std::string zeros(24, '\0');
  const int64_t max = std::numeric_limits<int64_t>::max();
  struct Case {
    int64_t size;
    int64_t offset;
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;
  };
  for (const Case& hostile : std::vector<Case>{
           {6, 0, {7}, {1}},
           {6, 1, {6}, {1}},
           {6, 6, {}, {}},
           {6, max, {}, {}},
           {6, max, {2}, {max}},
           {6, 0, {2}, {6}},
           {6, 0, {2}, {max}},
           {6, 0, {2, 2}, {5, 1}},
           {6, 0, {2, 2, 2}, {max, max, max}},
           {6, 0, {max}, {0}},
           {6, 0, {max, max}, {0, 0}},
           {6, 0, {0, max}, {1, 1}},
           {6, 0, {max, 0}, {1, 1}},
           {6, 0, {1000, 1000}, {0, 0}},
           {max, 0, {6}, {1}},
           {int64_t{1} << 62, 0, {6}, {1}},
       }) {
    const std::string pickle =
        OneTensor(hostile.size, hostile.offset, hostile.shape, hostile.strides);
    EXPECT_THAT(Refusal({{"a/data.pkl", pickle}, {"a/data/0", zeros}}),
                testing::ContainsRegex("storage|more numbers than the file has bytes"));
  }
  // The stride of a dimension of size 1 leads nowhere.
  const auto read = DecodeStateDict(
      WriteZip({{"a/data.pkl", OneTensor(6, 2, {1, 2}, {max, 3})}, {"a/data/0", zeros}}).value());
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST(StateDictTest, NeverExecutesAnything) {
  const std::string pickle = absl::StrCat("\x80\x02", "cposix\nsystem\n(", Text("true"), "tR.");
  EXPECT_THAT(Refusal({{"a/data.pkl", pickle}}),
              HasSubstr("not a readable state_dict: data.pkl: uses posix.system"));
}

TEST(StateDictTest, SaysHowToSaveAnOldFileAgain) {
  const auto read =
      DecodeStateDict("\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.");
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("before PyTorch 1.6; save it again"));
}

}  // namespace
}  // namespace modlab
