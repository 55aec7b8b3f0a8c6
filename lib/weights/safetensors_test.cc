#include "lib/weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace modlab {
namespace {

TensorFile Example() {
  TensorFile file;
  file.metadata["job_key"] = "00ff";
  file.tensors.push_back({"a.weight", {2, 3}, {1, 2, 3, 4, 5, 6}});
  file.tensors.push_back({"a.bias", {}, {-0.5F}});
  return file;
}

// A file with this header and `data_bytes` zeros behind it.
std::string WithHeader(const std::string& header, size_t data_bytes) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  return bytes + header + std::string(data_bytes, '\0');
}

TEST(SafetensorsTest, ReadsBackWhatItWrote) {
  const auto file = DecodeSafetensors(EncodeSafetensors(Example()));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata, Example().metadata);
  ASSERT_EQ(file->tensors.size(), 2u);
  EXPECT_EQ(file->tensors[0].name, "a.weight");
  EXPECT_EQ(file->tensors[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file->tensors[0].values, Example().tensors[0].values);
  EXPECT_EQ(file->tensors[1].values, Example().tensors[1].values);
}

TEST(SafetensorsTest, ReadsBackAFileWithoutTensors) {
  const auto file = DecodeSafetensors(EncodeSafetensors(TensorFile()));
  ASSERT_EQ(file.status(), absl::OkStatus());
  EXPECT_TRUE(file->tensors.empty());
}

TEST(SafetensorsTest, LaysOutTheHeaderAsTheFormatSays) {
  const std::string bytes = EncodeSafetensors(Example());
  EXPECT_THAT(bytes, testing::HasSubstr(
                         R"("a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]})"));
  const size_t header = static_cast<unsigned char>(bytes[0]);
  EXPECT_EQ(header % 8, 0u);
  EXPECT_EQ(bytes.size(), 8 + header + 7 * 4);
}

TEST(SafetensorsTest, RefusesEveryTruncation) {
  const std::string bytes = EncodeSafetensors(Example());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(DecodeSafetensors(absl::string_view(bytes).substr(0, length)).ok()) << length;
  }
}

TEST(SafetensorsTest, RefusesWhatDoesNotFit) {
  for (const char* header : {
           R"([])",
           R"({"a":3})",
           R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}})",
           R"({"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}})",
           R"({"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})",
           R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}})",
           R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[4,20]}})",
           R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})",
           R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
           R"({"__metadata__":{"k":1}})",
       }) {
    EXPECT_EQ(DecodeSafetensors(WithHeader(header, 16)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << header;
  }
}

}  // namespace
}  // namespace modlab
