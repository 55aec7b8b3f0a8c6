#include "lib/models/mha_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/config/job_config.h"

namespace modlab {
namespace {

using testing::UnorderedElementsAreArray;

v1::JobConfig MhaConfig(v1::ModelType model, int rules, int encoder_dim, int model_dim) {
  v1::JobConfig config;
  config.set_architecture(v1::MHA);
  config.set_target(v1::REGRESSION);
  config.set_model(model);
  config.set_rules(rules);
  config.set_encoder_dim(encoder_dim);
  config.set_model_dim(model_dim);
  const auto canonical = Canonicalise(config);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  return *canonical;
}

// "name 2x3" for each parameter.
std::vector<std::string> NamesAndShapes(const v1::JobConfig& config) {
  std::vector<std::string> all;
  for (const ParameterSpec& spec : MakeMhaModel(config)->Specs()) {
    all.push_back(absl::StrCat(spec.name, " ", absl::StrJoin(spec.shape, "x")));
  }
  return all;
}

// What the published code's networks for 2 rules, e = 8 and A = 16 have beside a
// model's own: inputs are 4 numbers a rule and the rule.
std::vector<std::string> WithCommon(std::vector<std::string> own) {
  own.insert(
      own.end(),
      {"encoder.0.weight 8x10", "encoder.0.bias 8", "encoder.2.weight 8x8", "encoder.2.bias 8",
       "decoder.0.weight 8x8", "decoder.0.bias 8", "decoder.2.weight 1x8", "decoder.2.bias 1",
       "model.query_net.weight 16x8", "model.query_net.bias 16", "model.key_net.weight 16x8",
       "model.key_net.bias 16", "model.value_net.weight 16x8", "model.value_net.bias 16"});
  return own;
}

TEST(MhaModel, HasTheParametersOfThePublishedCode) {
  EXPECT_THAT(NamesAndShapes(MhaConfig(v1::MONOLITHIC, 2, 8, 16)),
              UnorderedElementsAreArray(
                  WithCommon({"model.in_.weight 4x8", "model.in_.bias 4",
                              "model.out_proj.0.weight 16x20", "model.out_proj.0.bias 16",
                              "model.out_proj.2.weight 8x16", "model.out_proj.2.bias 8"})));
  EXPECT_THAT(
      NamesAndShapes(MhaConfig(v1::MODULAR, 2, 8, 16)),
      UnorderedElementsAreArray(WithCommon(
          {"model.in_.weight 8x8", "model.in_.bias 8", "model.out_proj.0.w 2x12x11",
           "model.out_proj.0.b 1x2x11", "model.out_proj.2.w 2x11x9", "model.out_proj.2.b 1x2x9"})));
  EXPECT_THAT(NamesAndShapes(MhaConfig(v1::MODULAR_OP, 2, 8, 16)),
              UnorderedElementsAreArray(WithCommon(
                  {"model.in_.weight 8x8", "model.in_.bias 8", "model.scorer.0.weight 4x2",
                   "model.scorer.0.bias 4", "model.scorer.2.weight 2x4", "model.scorer.2.bias 2",
                   "model.out_proj.0.w 2x12x11", "model.out_proj.0.b 1x2x11",
                   "model.out_proj.2.w 2x11x8", "model.out_proj.2.b 1x2x8"})));
  EXPECT_THAT(
      NamesAndShapes(MhaConfig(v1::GT_MODULAR, 2, 8, 16)),
      UnorderedElementsAreArray(WithCommon(
          {"model.in_.weight 8x8", "model.in_.bias 8", "model.out_proj.0.w 2x12x11",
           "model.out_proj.0.b 1x2x11", "model.out_proj.2.w 2x11x8", "model.out_proj.2.b 1x2x8"})));
}

TEST(MhaModel, SearchVersion2HasSixNumbersARule) {
  v1::JobConfig config = MhaConfig(v1::MONOLITHIC, 3, 8, 12);
  config.set_search_version(2);
  EXPECT_THAT(NamesAndShapes(config), testing::Contains("encoder.0.weight 8x21"));
}

struct Step {
  at::Tensor prediction;
  std::vector<at::Tensor> gradients;
};

// Jobs [first, first + jobs) of a gang, stepped as a gang of their own.
Step StepOf(const v1::JobConfig& config, const Parameters& gang, const Batch& batch, int64_t first,
            int64_t jobs) {
  const std::unique_ptr<Model> model = MakeMhaModel(config);
  Parameters parameters(model->Specs(), jobs, at::TensorOptions().dtype(at::kFloat));
  for (size_t i = 0; i < gang.tensors().size(); ++i) {
    at::Tensor to = parameters.tensors()[i];
    to.copy_(gang.tensors()[i].narrow(0, first, jobs));
  }
  parameters.RequireGradients();
  Batch part;
  part.length = batch.length;
  part.input = batch.input.narrow(0, first, jobs).contiguous();
  part.rule = batch.rule.narrow(0, first, jobs).contiguous();
  Step step{model->Bind(parameters)->Forward(part).prediction, {}};
  step.prediction.abs().sum().backward();
  for (const at::Tensor& tensor : parameters.tensors()) step.gradients.push_back(tensor.grad());
  return step;
}

class MhaModelTest : public testing::TestWithParam<v1::ModelType> {};

TEST_P(MhaModelTest, GangMatesChangeNoBit) {
  constexpr int64_t kJobs = 3, kSamples = 50, kLength = 6;
  const v1::JobConfig config = MhaConfig(GetParam(), 4, 24, 48);
  at::manual_seed(2);
  Parameters gang(MakeMhaModel(config)->Specs(), kJobs, at::TensorOptions().dtype(at::kFloat));
  gang.flat().uniform_(-0.3, 0.3);
  Batch batch;
  batch.length = kLength;
  batch.input = at::randn({kJobs, 16, kLength * kSamples});
  batch.rule = at::one_hot(at::randint(4, {kJobs, kLength * kSamples}, at::kLong), 4)
                   .to(at::kFloat)
                   .transpose(1, 2)
                   .contiguous();
  const Step together = StepOf(config, gang, batch, 0, kJobs);
  for (int64_t j = 0; j < kJobs; ++j) {
    const Step alone = StepOf(config, gang, batch, j, 1);
    EXPECT_TRUE(at::equal(alone.prediction[0], together.prediction[j]));
    for (size_t i = 0; i < alone.gradients.size(); ++i) {
      EXPECT_TRUE(at::equal(alone.gradients[i][0], together.gradients[i][j]))
          << gang.specs()[i].name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, MhaModelTest,
                         testing::Values(v1::MONOLITHIC, v1::MODULAR, v1::MODULAR_OP,
                                         v1::GT_MODULAR),
                         [](const auto& type) { return v1::ModelType_Name(type.param); });

}  // namespace
}  // namespace modlab
