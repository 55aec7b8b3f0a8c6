#include "worker/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "lib/config/job_config.h"
#include "lib/train/device.h"
#include "lib/train/trainer.h"
#include "lib/train/trainer_fixture.h"
#include "lib/weights/safetensors.h"
#include "lib/weights/state_dict.h"
#include "nlohmann/json.hpp"

namespace modlab {
namespace {

using testing::HasSubstr;

class EvaluateTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { PrepareProcess(); }

  static std::string Path(const std::string& name) {
    return testing::TempDir() + "evaluate_" + name;
  }

  static std::string Write(const std::string& name, const std::string& bytes) {
    std::ofstream(Path(name), std::ios::binary) << bytes;
    return Path(name);
  }
};

TEST_F(EvaluateTest, GivesTheFiguresThatTheJobHad) {
  for (const v1::Architecture architecture : {v1::MLP, v1::MHA, v1::RNN}) {
    v1::JobConfig config = Config(v1::MODULAR, v1::CLASSIFICATION, 1, architecture);
    config.set_iterations(3);
    config.set_final_batches(1);
    config.set_validation_batches(0);
    const MemberRecord member = TrainGang({config}).at(0);
    TensorFile tensors = DecodeSafetensors(member.weights).value();
    // The published RNN saves a vector that nobody uses.
    if (architecture == v1::RNN)
      tensors.tensors.push_back({"rnn.scorer.1.b", {1, 4, 1}, {9, 9, 9, 9}});
    for (const std::string& path : {Write("w.safetensors", member.weights),
                                    Write("w.pt", EncodeStateDict(tensors).value())}) {
      const auto result = EvaluateFile(config, path, "cpu");
      ASSERT_TRUE(result.ok()) << result.status();
      ASSERT_EQ(result->metrics_size(), member.result->metrics_size());
      for (int i = 0; i < result->metrics_size(); ++i) {
        EXPECT_EQ(result->metrics(i).SerializeAsString(),
                  member.result->metrics(i).SerializeAsString());
      }
      EXPECT_EQ(result->activation().SerializeAsString(),
                member.result->activation().SerializeAsString());
    }
  }
}

TEST_F(EvaluateTest, NamesTheTensorThatDoesNotFit) {
  const v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 1);
  TensorFile file;
  for (const TensorShape& tensor : ModelTensors(config)) {
    int64_t size = 1;
    for (const int64_t extent : tensor.shape) size *= extent;
    file.tensors.push_back({tensor.name, tensor.shape, std::vector<float>(size, 0.1F)});
  }
  const auto evaluate = [&](const TensorFile& with) {
    return EvaluateFile(config, Write("bad.safetensors", EncodeSafetensors(with)), "cpu").status();
  };
  EXPECT_TRUE(evaluate(file).ok());
  TensorFile missing = file, reshaped = file, foreign = file;
  missing.tensors.erase(missing.tensors.begin());
  EXPECT_THAT(std::string(evaluate(missing).message()),
              HasSubstr("\"encoder_digit.0.weight\" of shape [8, 1] is missing"));
  reshaped.tensors[0].shape = {1, 8};
  EXPECT_THAT(std::string(evaluate(reshaped).message()),
              HasSubstr("\"encoder_digit.0.weight\" has shape [1, 8]; this config needs [8, 1]"));
  foreign.tensors.push_back({"encoder.0.weight", {1}, {0.0F}});
  EXPECT_THAT(std::string(evaluate(foreign).message()),
              HasSubstr("\"encoder.0.weight\" of shape [1] is none of this config's model"));
  EXPECT_EQ(evaluate(foreign).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(EvaluateTest, RefusesWhatIsNoReadableFile) {
  const v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 1);
  EXPECT_EQ(EvaluateFile(config, Path("none.pt"), "cpu").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(EvaluateFile(config, testing::TempDir(), "cpu").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(EvaluateFile(config, Write("junk.pt", "junk"), "cpu").status().code(),
            absl::StatusCode::kInvalidArgument);
  // Not the file's fault.
  EXPECT_THAT(std::string(EvaluateFile(config, Write("junk.pt", "junk"), "tpu").status().message()),
              testing::Not(HasSubstr("junk.pt")));
}

TEST_F(EvaluateTest, PrintsLengthsAndActivationMatrix) {
  v1::JobResult result;
  const auto add = [&](v1::Metric metric, double value) {
    v1::MetricValue* added = result.add_metrics();
    added->set_metric(metric);
    added->set_value(value);
  };
  add(v1::ID, 0.5);
  for (const int length : {3, 10}) {
    add(static_cast<v1::Metric>(100 + length), 0.5 + length);
    add(static_cast<v1::Metric>(200 + length), 0.25 + length);
    add(static_cast<v1::Metric>(300 + length), 0.125 + length);
    add(static_cast<v1::Metric>(400 + length), 0.0625 + length);
  }
  result.mutable_activation()->set_rules(2);
  result.mutable_activation()->set_modules(2);
  for (const float p : {0.5F, 0.0F, 0.25F, 0.25F}) result.mutable_activation()->add_values(p);

  const auto json = nlohmann::json::parse(ResultAsJson(result));
  EXPECT_EQ(json["metrics"], nlohmann::json({{"id", 0.5}}));
  EXPECT_EQ(json["lengths"][1], nlohmann::json({{"length", 10},
                                                {"id", 10.5},
                                                {"ood", 10.25},
                                                {"id_loss", 10.125},
                                                {"ood_loss", 10.0625}}));
  EXPECT_EQ(json["activation"], nlohmann::json({{0.5, 0.0}, {0.25, 0.25}}));
  const std::string table = ResultAsTable(result);
  EXPECT_THAT(table, HasSubstr("id              0.5\n"));
  EXPECT_THAT(table, HasSubstr("    10         10.5        10.25       10.125      10.0625\n"));
  EXPECT_THAT(table, HasSubstr(" 0.25000  0.25000\n"));
}

}  // namespace
}  // namespace modlab
