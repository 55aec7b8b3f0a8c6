// A gang's members are as they would be alone, and after any stop, bit for bit.

#include <gtest/gtest.h>

#include <ostream>
#include <tuple>
#include <vector>

#include "lib/train/device.h"
#include "lib/train/trainer_fixture.h"

namespace modlab {
namespace {

struct Kind {
  v1::Architecture architecture;
  v1::ModelType model;
  v1::Scorer scorer = v1::SCORER_UNSPECIFIED;
};

void PrintTo(const Kind& kind, std::ostream* out) {
  *out << v1::Architecture_Name(kind.architecture) << " " << v1::ModelType_Name(kind.model) << " "
       << v1::Scorer_Name(kind.scorer);
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
    v1::JobConfig config = Config(kind.model, target, seed, kind.architecture);
    if (kind.scorer != v1::SCORER_UNSPECIFIED) config.set_scorer(kind.scorer);
    config.set_rules(size.rules);
    if (kind.model != v1::MONOLITHIC) config.set_modules(size.rules);
    config.set_encoder_dim(size.encoder_dim);
    config.set_model_dim(size.model_dim);
    config.set_batch_size(size.batch_size);
    config.set_iterations(20);
    config.set_eval_interval(8);
    config.set_final_batch_size(size.batch_size + 3);
    if (kind.architecture == v1::MHA) {
      config.set_heads(kind.model == v1::MONOLITHIC ? 2 * size.rules : 2);
      config.set_model_dim(2 * size.model_dim);  // divisible by rules * heads
    }
    if (kind.architecture != v1::MLP) {
      config.set_iterations(8);
      config.set_eval_interval(4);
      config.set_sequence_length(7);
      config.set_batch_size(size.batch_size / 4 + 1);
      config.set_final_batches(1);
      config.set_final_batch_size(23);
      config.set_activation_batches(1);
      config.set_activation_batch_size(600);
      config.set_adaptation_draws(1);
      config.set_adaptation_batches(1);
    }
    if (kind.architecture == v1::RNN) config.set_input_dim(5);
    return config;
  }
};

TEST_P(GangTest, ResultsAreTheSameBitsAloneInTwoInSevenAndInStacks) {
  std::vector<v1::JobConfig> seven;
  for (int seed = 0; seed < 7; ++seed) seven.push_back(MemberConfig(seed));
  const auto of_seven = TrainGang(seven);
  ASSERT_EQ(of_seven.size(), 7u);
  const auto of_two = TrainGang({seven[5], seven[2]});
  const auto alone = TrainGang({seven[5]});
  TrainerLimits by_threes;
  by_threes.stack_size = 3;
  const auto in_stacks = TrainGang(seven, {}, by_threes);

  EXPECT_EQ(alone.at(0).Reproducible(), of_seven.at(5).Reproducible());
  EXPECT_EQ(of_two.at(0).Reproducible(), of_seven.at(5).Reproducible());
  EXPECT_EQ(of_two.at(1).Reproducible(), of_seven.at(2).Reproducible());
  EXPECT_EQ(in_stacks.at(2).Reproducible(), of_seven.at(2).Reproducible());
  EXPECT_EQ(in_stacks.at(6).Reproducible(), of_seven.at(6).Reproducible());
  EXPECT_NE(of_seven.at(2).Reproducible(), of_seven.at(5).Reproducible());
}

TEST_P(GangTest, StoppedAtEveryPointAndResumedItEndsInTheSameBits) {
  const std::vector<v1::JobConfig> configs = {MemberConfig(1), MemberConfig(2)};
  const auto undisturbed = TrainGang(configs);
  const auto [resumed, stops] = TrainInParts(configs, [](Trainer* trainer, Recorder* recorder) {
    recorder->on_point = [trainer](int, const v1::CurvePoint&) { trainer->RequestCheckpoints(); };
    return trainer->Run(recorder);
  });
  EXPECT_EQ(stops, static_cast<int>(EvaluationIterations(configs.front()).size()));
  EXPECT_EQ(resumed.at(0).Reproducible(), undisturbed.at(0).Reproducible());
  EXPECT_EQ(resumed.at(1).Reproducible(), undisturbed.at(1).Reproducible());
}

INSTANTIATE_TEST_SUITE_P(
    AllModels, GangTest,
    testing::Combine(testing::Values(Kind{v1::MLP, v1::MONOLITHIC}, Kind{v1::MLP, v1::MODULAR},
                                     Kind{v1::MLP, v1::MODULAR, v1::SEPARATE},
                                     Kind{v1::MLP, v1::MODULAR_OP}, Kind{v1::MLP, v1::GT_MODULAR},
                                     Kind{v1::MHA, v1::MONOLITHIC}, Kind{v1::MHA, v1::MODULAR},
                                     Kind{v1::MHA, v1::MODULAR_OP}, Kind{v1::MHA, v1::GT_MODULAR},
                                     Kind{v1::RNN, v1::MONOLITHIC}, Kind{v1::RNN, v1::MODULAR},
                                     Kind{v1::RNN, v1::MODULAR_OP}, Kind{v1::RNN, v1::GT_MODULAR}),
                     testing::Values(v1::REGRESSION, v1::CLASSIFICATION),
                     testing::Values(Size{4, 8, 32, 64}, Size{8, 32, 128, 256},
                                     Size{3, 33, 51, 100})));

}  // namespace
}  // namespace modlab
