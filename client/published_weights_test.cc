#include "client/published_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/weights/safetensors.h"
#include "lib/weights/state_dict.h"
#include "lib/weights/tensor_file.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;

v1::JobConfig Config(v1::Architecture architecture, v1::ModelType model) {
  v1::JobConfig config;
  config.set_architecture(architecture);
  config.set_model(model);
  config.set_modules(3);
  return config;
}

const TensorFile kFile = {{{"encoder.weight", {2, 1}, {0.5F, -1.0F}}, {"rnn.scorer.1.w", {1}, {2}}},
                          {{"modlab", "metadata"}}};

std::vector<NamedArray> Published(const v1::JobConfig& config) {
  const auto bytes = PublishedWeights(config, EncodeSafetensors(kFile));
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  const auto file = DecodeStateDict(bytes.ok() ? *bytes : "");
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? file->tensors : std::vector<NamedArray>();
}

TEST(PublishedWeightsTest, AreThoseOfTheFile) {
  const std::vector<NamedArray> tensors = Published(Config(v1::RNN, v1::MODULAR_OP));
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "encoder.weight");
  EXPECT_THAT(tensors[0].shape, ElementsAre(2, 1));
  EXPECT_THAT(tensors[0].values, ElementsAre(0.5F, -1.0F));
  EXPECT_EQ(tensors[1].name, "rnn.scorer.1.w");
  EXPECT_EQ(Published(Config(v1::MLP, v1::MODULAR)).size(), 2u);
}

TEST(PublishedWeightsTest, AModularRnnHasAVectorThatIsNeverUsed) {
  const std::vector<NamedArray> tensors = Published(Config(v1::RNN, v1::MODULAR));
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[2].name, "rnn.scorer.1.b");
  EXPECT_THAT(tensors[2].shape, ElementsAre(1, 3, 1));
  EXPECT_THAT(tensors[2].values, ElementsAre(0, 0, 0));
}

TEST(PublishedWeightsTest, ADamagedFileIsRefused) {
  EXPECT_EQ(PublishedWeights(Config(v1::MLP, v1::MODULAR), "no weights").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace modlab
