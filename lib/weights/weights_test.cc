#include "lib/weights/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/weights/safetensors.h"
#include "lib/weights/state_dict.h"

namespace modlab {
namespace {

using testing::HasSubstr;

TEST(WeightsTest, ReadsEitherFormatByItsContent) {
  const TensorFile file = {{{"a.weight", {2}, {1, 2}}}, {}};
  for (const std::string& bytes : {EncodeSafetensors(file), EncodeStateDict(file).value()}) {
    const auto read = ReadWeights(bytes);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->tensors.size(), 1u);
    EXPECT_EQ(read->tensors[0].name, "a.weight");
    EXPECT_EQ(read->tensors[0].values, (std::vector<float>{1, 2}));
  }
}

TEST(WeightsTest, NamesTheFormatThatItTriedOrBoth) {
  const auto said = [](const std::string& bytes) {
    return std::string(ReadWeights(bytes).status().message());
  };
  EXPECT_THAT(said("PK\x03\x04"), HasSubstr("state_dict"));
  EXPECT_THAT(said("\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M"),
              HasSubstr("PyTorch 1.6"));
  EXPECT_THAT(said(std::string("\xff\0\0\0\0\0\0\0{", 9)), HasSubstr("safetensors"));
  for (const char* bytes : {"", "PK", "name: a sweep\n"}) {
    EXPECT_THAT(said(bytes), HasSubstr("neither a safetensors file nor a state_dict")) << bytes;
  }
}

}  // namespace
}  // namespace modlab
