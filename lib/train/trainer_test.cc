#include "lib/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "lib/config/job_config.h"
#include "lib/train/device.h"
#include "lib/weights/safetensors.h"

namespace modlab {
namespace {

// Small enough for a test, with all that a real job has.
v1::JobConfig Config(v1::ModelType model, v1::Target target, int seed) {
  v1::JobConfig config;
  config.set_architecture(v1::MLP);
  config.set_target(target);
  config.set_model(model);
  config.set_rules(4);
  config.set_encoder_dim(8);
  config.set_model_dim(32);
  config.set_data_seed(seed % 3);
  config.set_model_seed(seed);
  config.set_iterations(60);
  config.set_batch_size(64);
  config.set_learning_rate(1e-3 * (1 + seed % 2));
  config.set_eval_interval(25);
  config.set_eval_batches(2);
  config.set_final_batches(3);
  config.set_final_batch_size(100);
  config.set_activation_batches(5);
  config.set_adaptation_draws(3);
  config.set_adaptation_batches(2);
  return Canonicalise(config).value();
}

struct MemberRecord {
  std::vector<v1::CurvePoint> points;
  std::optional<v1::JobResult> result;
  std::optional<v1::Failure> failure;
  std::string weights;
  std::string best_weights;

  double Final(v1::Metric metric) const {
    for (const v1::MetricValue& value : result->metrics()) {
      if (value.metric() == metric) return value.value();
    }
    return std::numeric_limits<double>::quiet_NaN();
  }

  // All that must not depend on gang mates, as bytes.
  std::string Reproducible() const {
    std::string bytes;
    for (v1::CurvePoint point : points) {
      for (v1::MetricValue& value : *point.mutable_values()) {
        if (value.metric() == v1::ITERATIONS_PER_SECOND) value.clear_value();
      }
      bytes += point.SerializeAsString();
    }
    v1::JobResult timeless = *result;
    timeless.clear_wall_seconds();
    return bytes + timeless.SerializeAsString() + weights + best_weights;
  }
};

class Recorder : public GangObserver {
 public:
  void OnPoint(int member, const v1::CurvePoint& point) override {
    members[member].points.push_back(point);
    if (on_point) on_point(member, point);
  }
  void OnFinished(int member, const v1::JobResult& result, const FinalWeights& weights) override {
    members[member].result = result;
    members[member].weights = weights.last;
    members[member].best_weights = weights.best;
  }
  void OnFailed(int member, const v1::Failure& failure) override {
    members[member].failure = failure;
  }

  std::map<int, MemberRecord> members;
  std::function<void(int, const v1::CurvePoint&)> on_point;
};

std::map<int, MemberRecord> TrainGang(const std::vector<v1::JobConfig>& configs) {
  auto trainer = Trainer::Create(configs, "cpu");
  EXPECT_TRUE(trainer.ok()) << trainer.status();
  Recorder recorder;
  const absl::Status status = (*trainer)->Run(&recorder);
  EXPECT_TRUE(status.ok()) << status;
  return recorder.members;
}

struct Kind {
  v1::ModelType model;
  v1::Scorer scorer = v1::SCORER_UNSPECIFIED;
};

void PrintTo(const Kind& kind, std::ostream* out) {
  *out << v1::ModelType_Name(kind.model) << " " << v1::Scorer_Name(kind.scorer);
}

// Which kernels LibTorch and the BLAS choose depends on sizes: a small one, the
// defaults, and one that fits no vector width.
struct Size {
  int rules;
  int encoder_dim;
  int model_dim;
  int batch_size;
};

void PrintTo(const Size& size, std::ostream* out) {
  *out << "R=" << size.rules << " e=" << size.encoder_dim << " D=" << size.model_dim
       << " B=" << size.batch_size;
}

class GangTest : public testing::TestWithParam<std::tuple<Kind, v1::Target, Size>> {
 protected:
  static void SetUpTestSuite() { PrepareProcess(); }

  static v1::JobConfig MemberConfig(int seed) {
    const auto& [kind, target, size] = GetParam();
    v1::JobConfig config = Config(kind.model, target, seed);
    if (kind.scorer != v1::SCORER_UNSPECIFIED) config.set_scorer(kind.scorer);
    config.set_rules(size.rules);
    if (kind.model != v1::MONOLITHIC) config.set_modules(size.rules);
    config.set_encoder_dim(size.encoder_dim);
    config.set_model_dim(size.model_dim);
    config.set_batch_size(size.batch_size);
    config.set_iterations(20);
    config.set_eval_interval(8);
    config.set_final_batch_size(size.batch_size + 3);
    return config;
  }
};

TEST_P(GangTest, ResultsAreTheSameBitsAloneInTwoAndInSeven) {
  std::vector<v1::JobConfig> seven;
  for (int seed = 0; seed < 7; ++seed) seven.push_back(MemberConfig(seed));
  const auto of_seven = TrainGang(seven);
  ASSERT_EQ(of_seven.size(), 7u);
  const auto of_two = TrainGang({seven[5], seven[2]});
  const auto alone = TrainGang({seven[5]});

  EXPECT_EQ(alone.at(0).Reproducible(), of_seven.at(5).Reproducible());
  EXPECT_EQ(of_two.at(0).Reproducible(), of_seven.at(5).Reproducible());
  EXPECT_EQ(of_two.at(1).Reproducible(), of_seven.at(2).Reproducible());
  EXPECT_NE(of_seven.at(2).Reproducible(), of_seven.at(5).Reproducible());
}

INSTANTIATE_TEST_SUITE_P(AllModels, GangTest,
                         testing::Combine(testing::Values(Kind{v1::MONOLITHIC}, Kind{v1::MODULAR},
                                                          Kind{v1::MODULAR, v1::SEPARATE},
                                                          Kind{v1::MODULAR_OP},
                                                          Kind{v1::GT_MODULAR}),
                                          testing::Values(v1::REGRESSION, v1::CLASSIFICATION),
                                          testing::Values(Size{4, 8, 32, 64}, Size{8, 32, 128, 256},
                                                          Size{3, 33, 51, 100})));

class TrainerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { PrepareProcess(); }
};

TEST_F(TrainerTest, CurvesHaveTheUntrainedModelEveryIntervalAndTheEnd) {
  const auto members = TrainGang({Config(v1::MODULAR, v1::CLASSIFICATION, 1)});
  std::vector<int64_t> iterations;
  for (const v1::CurvePoint& point : members.at(0).points) iterations.push_back(point.iteration());
  EXPECT_THAT(iterations, testing::ElementsAre(0, 25, 50, 60));
  std::vector<int> metrics;
  for (const v1::MetricValue& value : members.at(0).points.back().values()) {
    metrics.push_back(value.metric());
  }
  EXPECT_THAT(metrics, testing::UnorderedElementsAre(
                           v1::TRAIN_LOSS, v1::EVAL_LOSS, v1::EVAL_ACCURACY,
                           v1::ITERATIONS_PER_SECOND, v1::COLLAPSE_AVG, v1::COLLAPSE_WORST,
                           v1::ALIGNMENT, v1::ADAPTATION, v1::INVERSE_MI));
  EXPECT_EQ(members.at(0).points.back().activation().values_size(), 16);
}

// Every training loss was reported as 0.
TEST_F(TrainerTest, TheTrainingLossIsTheMeanSinceTheLastPoint) {
  const auto members = TrainGang({Config(v1::MODULAR, v1::REGRESSION, 1)});
  const auto value = [&](size_t point, v1::Metric metric) {
    for (const v1::MetricValue& v : members.at(0).points[point].values()) {
      if (v.metric() == metric) return v.value();
    }
    return std::numeric_limits<double>::quiet_NaN();
  };
  for (size_t point = 1; point < members.at(0).points.size(); ++point) {
    // It falls from point to point, so its mean lies between them, roughly.
    EXPECT_GT(value(point, v1::TRAIN_LOSS), 0.5 * value(point, v1::EVAL_LOSS));
    EXPECT_LT(value(point, v1::TRAIN_LOSS), 2.0 * value(point - 1, v1::EVAL_LOSS));
  }
}

TEST_F(TrainerTest, TrainingLowersTheLoss) {
  v1::JobConfig config = Config(v1::GT_MODULAR, v1::REGRESSION, 1);
  config.set_iterations(600);
  const auto members = TrainGang({config});
  const double before = members.at(0).points.front().values(0).value();
  const double after = members.at(0).points.back().values(0).value();
  EXPECT_LT(after, 0.5 * before);
  EXPECT_NEAR(members.at(0).Final(v1::ID), after, 0.3 * after);
  EXPECT_GT(members.at(0).Final(v1::OOD), members.at(0).Final(v1::ID));
}

TEST_F(TrainerTest, TheOracleRouterNeverCollapsesAndAlignsPerfectly) {
  const auto members = TrainGang({Config(v1::GT_MODULAR, v1::REGRESSION, 2)});
  EXPECT_NEAR(members.at(0).Final(v1::COLLAPSE_AVG), 0.0, 1e-12);
  EXPECT_NEAR(members.at(0).Final(v1::COLLAPSE_WORST), 0.0, 1e-12);
  EXPECT_NEAR(members.at(0).Final(v1::ALIGNMENT), 0.0, 1e-12);
  EXPECT_NEAR(members.at(0).Final(v1::INVERSE_MI), 0.0, 1e-6);
}

TEST_F(TrainerTest, MonolithicHasNoRoutingMetrics) {
  const auto members = TrainGang({Config(v1::MONOLITHIC, v1::REGRESSION, 2)});
  EXPECT_TRUE(std::isnan(members.at(0).Final(v1::COLLAPSE_AVG)));
  EXPECT_FALSE(members.at(0).result->has_activation());
}

TEST_F(TrainerTest, DivergenceEndsThatMemberAloneAndSaysWhere) {
  std::vector<v1::JobConfig> configs = {Config(v1::MODULAR, v1::REGRESSION, 0),
                                        Config(v1::MODULAR, v1::REGRESSION, 1),
                                        Config(v1::MODULAR, v1::REGRESSION, 2)};
  const auto undisturbed = TrainGang({configs[0], configs[2]});
  // Overflows 32-bit floats at the first step, whatever the data.
  configs[1].set_learning_rate(std::numeric_limits<float>::max());
  const auto members = TrainGang(configs);
  ASSERT_TRUE(members.at(1).failure.has_value());
  EXPECT_EQ(members.at(1).failure->cause(), v1::DIVERGED);
  EXPECT_EQ(members.at(1).failure->iteration(), 0);
  EXPECT_THAT(members.at(1).failure->message(), testing::HasSubstr("between iterations 0 and 25"));
  EXPECT_FALSE(members.at(1).result.has_value());
  EXPECT_EQ(members.at(0).Reproducible(), undisturbed.at(0).Reproducible());
  EXPECT_EQ(members.at(2).Reproducible(), undisturbed.at(1).Reproducible());
}

TEST_F(TrainerTest, DroppedMembersAreSilentAndTheOthersUntouched) {
  const std::vector<v1::JobConfig> configs = {Config(v1::MODULAR, v1::REGRESSION, 0),
                                              Config(v1::MODULAR, v1::REGRESSION, 1)};
  const auto alone = TrainGang({configs[1]});
  auto trainer = Trainer::Create(configs, "cpu").value();
  Recorder recorder;
  recorder.on_point = [&](int member, const v1::CurvePoint& point) {
    if (member == 0 && point.iteration() == 25) trainer->Drop(0);
  };
  ASSERT_TRUE(trainer->Run(&recorder).ok());
  EXPECT_EQ(recorder.members[0].points.size(), 2u);
  EXPECT_FALSE(recorder.members[0].result.has_value());
  EXPECT_EQ(recorder.members[1].Reproducible(), alone.at(0).Reproducible());
}

TEST_F(TrainerTest, ReturnsCancelledOnceAllAreDropped) {
  auto trainer = Trainer::Create({Config(v1::MODULAR, v1::REGRESSION, 0)}, "cpu").value();
  Recorder recorder;
  recorder.on_point = [&](int, const v1::CurvePoint&) { trainer->Drop(0); };
  EXPECT_EQ(trainer->Run(&recorder).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(recorder.members[0].points.size(), 1u);
}

TEST_F(TrainerTest, RefusesJobsOfDifferentShapes) {
  v1::JobConfig other = Config(v1::MODULAR, v1::REGRESSION, 0);
  other.set_model_dim(64);
  const auto trainer = Trainer::Create({Config(v1::MODULAR, v1::REGRESSION, 0), other}, "cpu");
  EXPECT_EQ(trainer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Trainer::Create({other}, "tpu").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TrainerTest, WeightsHaveThePublishedNamesAndShapes) {
  const v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 0);
  const auto members = TrainGang({config});
  const auto file = DecodeSafetensors(members.at(0).weights);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata.at("job_key"), JobKey(config));
  std::map<std::string, std::vector<int64_t>> shapes;
  int64_t numbers = 0;
  for (const NamedArray& tensor : file->tensors) {
    shapes[tensor.name] = tensor.shape;
    numbers += static_cast<int64_t>(tensor.values.size());
  }
  EXPECT_EQ(numbers, ParameterCount(config));
  EXPECT_EQ(shapes["encoder_digit.0.weight"], (std::vector<int64_t>{8, 1}));
  EXPECT_EQ(shapes["encoder_operation.0.weight"], (std::vector<int64_t>{8, 4}));
  EXPECT_EQ(shapes["MLP.0.w"], (std::vector<int64_t>{4, 24, 8}));
  EXPECT_EQ(shapes["MLP.0.b"], (std::vector<int64_t>{1, 4, 8}));
  EXPECT_EQ(shapes["MLP.2.w"], (std::vector<int64_t>{4, 8, 33}));
  EXPECT_EQ(shapes["decoder.2.bias"], (std::vector<int64_t>{1}));
}

}  // namespace
}  // namespace modlab
