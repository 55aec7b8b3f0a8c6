#include "lib/rules/task.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "lib/rules/random_stream.h"
#include "lib/rules/task_testing.h"

namespace modlab {
namespace {

// Of one array of coefficients the last number, and the sum of (1 + i % 97) times
// number i.
struct Golden {
  double last;
  double sum;
};

struct GoldenTask {
  int rules;
  int order;
  int dim;
  uint32_t data_seed;
  std::vector<Golden> arrays;
};

void ExpectGolden(const Coefficients& drawn, const Golden& golden) {
  double sum = 0.0;
  for (size_t i = 0; i < drawn.values.size(); ++i) {
    sum += static_cast<double>(1 + i % 97) * drawn.values[i];
  }
  EXPECT_NEAR(drawn.values.back(), golden.last, 1e-8) << drawn.name;
  EXPECT_NEAR(sum, golden.sum, 1e-5) << drawn.name;
}

// numpy: r = RandomState(data_seed); alpha = r.randn(rules); beta = r.randn(rules).
// With three rules beta starts with the cached half of a pair.
const GoldenTask kLinear[] = {
    {2, 0, 0, 0u, {{0.400157208, 2.56436676}, {2.2408932, 5.46052438}}},
    {3, 0, 0, 0u, {{0.978737984, 5.50058072}, {-0.97727788, 3.04417554}}},
    {32, 0, 0, 0u, {{0.37816252, 162.954876}, {-1.7262826, -231.242344}}},
    {2, 0, 0, 1u, {{-0.611756414, 0.400832536}, {-1.07296862, -2.674109}}},
    {3, 0, 0, 1u, {{-0.528171752, -1.18368272}, {-2.3015387, -6.24676945}}},
    {32, 0, 0, 1u, {{-0.396753527, -49.4322688}, {-0.298092835, 127.786183}}},
    {2, 0, 0, 2u, {{-0.0562668272, -0.529291502}, {1.64027081, 1.14434552}}},
    {3, 0, 0, 2u, {{-2.1361961, -6.93787979}, {-0.841747366, -4.47184246}}},
    {32, 0, 0, 2u, {{2.23136679, -103.193355}, {0.326003433, 9.76856268}}},
    {2, 0, 0, 7u, {{-0.465937371, 0.758650963}, {0.407516283, 0.84785273}}},
    {3, 0, 0, 7u, {{0.0328201637, 0.857111454}, {0.00206557291, -1.16413306}}},
    {32, 0, 0, 7u, {{1.07247013, -53.6792168}, {1.6995373, 25.1466666}}},
    {2, 0, 0, 4294967295u, {{0.669323531, 1.98705574}, {0.284501045, -0.511541633}}},
    {3, 0, 0, 4294967295u, {{-1.08054372, -1.25457543}, {0.867621894, 3.1151422}}},
    {32, 0, 0, 4294967295u, {{-0.922202145, 13.1820797}, {-0.0704834335, -89.8501238}}},
};

TEST(MakeTask, AlphaAndBetaAreNumpys) {
  for (const GoldenTask& golden : kLinear) {
    SCOPED_TRACE(testing::Message() << golden.rules << " rules, seed " << golden.data_seed);
    for (const v1::Architecture architecture : {v1::MLP, v1::MHA}) {
      const auto drawn =
          MakeTask(TaskConfig(architecture, v1::CLASSIFICATION, golden.rules, golden.data_seed))
              ->coefficients();
      ASSERT_EQ(drawn.size(), 2u);
      EXPECT_EQ(drawn[0].name, "alpha");
      EXPECT_EQ(drawn[1].name, "beta");
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(drawn[i].shape, std::vector<int64_t>{golden.rules});
        EXPECT_EQ(drawn[i].values.size(), static_cast<size_t>(golden.rules));
        ExpectGolden(drawn[i], golden.arrays[i]);
      }
    }
  }
}

// numpy: r = RandomState(data_seed); A = r.randn(rules, order, dim, dim) /
// sqrt(order * dim); B = r.randn(rules, dim, dim) / sqrt(dim); w = r.randn(dim, 1).
const GoldenTask kRecurrent[] = {
    {2,
     1,
     32,
     0u,
     {{0.225028557, -553.974421}, {0.441308358, -932.99078}, {0.0323299808, -68.8241636}}},
    {3,
     2,
     5,
     0u,
     {{-0.145965868, 29.0439659}, {-0.689065373, -52.0076978}, {-0.23792173, -2.50605475}}},
    {32,
     1,
     32,
     0u,
     {{-0.0843540802, -1767.04624}, {0.0662460783, -2462.93697}, {0.210363672, -46.8172179}}},
    {2,
     1,
     32,
     1u,
     {{0.21356383, 640.945914}, {0.140528148, -180.878207}, {-0.243897278, -14.0845367}}},
    {3,
     2,
     5,
     1u,
     {{0.215841707, 245.901718}, {-0.545486277, 209.344755}, {-0.203394449, -3.05725954}}},
    {32,
     1,
     32,
     1u,
     {{0.0587437236, -739.907429}, {0.212651721, -485.950814}, {0.881369383, 134.843782}}},
    {2,
     1,
     32,
     2u,
     {{-0.0187262798, -290.445779}, {0.310462248, -831.477056}, {-0.658218118, 58.5138974}}},
    {3,
     2,
     5,
     2u,
     {{0.22054239, -12.1109936}, {0.0270396292, 38.5949763}, {0.902179395, 10.8919404}}},
    {32,
     1,
     32,
     2u,
     {{0.248839931, 559.956811}, {-0.087082987, -1921.36815}, {0.11477451, -89.8841656}}},
    {2,
     1,
     32,
     7u,
     {{0.0847125886, -823.106393}, {-0.0231525946, 14.588432}, {-0.0132684304, -25.8195989}}},
    {3,
     2,
     5,
     7u,
     {{-0.485758198, -33.8473325}, {-0.465160753, -82.4158425}, {0.71855676, 2.56164367}}},
    {32,
     1,
     32,
     7u,
     {{0.087756315, -959.899793}, {-0.0676248905, -2137.54393}, {0.176851568, -11.9229908}}},
    {2,
     1,
     32,
     4294967295u,
     {{0.0387654005, -220.411008}, {-0.172347378, 468.756012}, {0.400248646, 139.416444}}},
    {3,
     2,
     5,
     4294967295u,
     {{-0.060087134, -119.201474}, {0.289977766, 279.750343}, {-1.97562646, -8.66780835}}},
    {32,
     1,
     32,
     4294967295u,
     {{-0.169057652, 1142.11487}, {0.171475669, -651.544729}, {-2.03068676, -110.307789}}},
};

TEST(MakeTask, MatricesAreNumpys) {
  for (const GoldenTask& golden : kRecurrent) {
    SCOPED_TRACE(testing::Message() << golden.rules << " rules, seed " << golden.data_seed);
    for (const v1::Target target : {v1::REGRESSION, v1::CLASSIFICATION}) {
      v1::JobConfig config = TaskConfig(v1::RNN, target, golden.rules, golden.data_seed);
      config.set_order(golden.order);
      config.set_input_dim(golden.dim);
      const auto drawn = MakeTask(config)->coefficients();
      ASSERT_EQ(drawn.size(), target == v1::CLASSIFICATION ? 3u : 2u);
      const std::vector<std::string> names = {"A", "B", "w"};
      const std::vector<std::vector<int64_t>> shapes = {
          {golden.rules, golden.order, golden.dim, golden.dim},
          {golden.rules, golden.dim, golden.dim},
          {golden.dim, 1}};
      for (size_t i = 0; i < drawn.size(); ++i) {
        EXPECT_EQ(drawn[i].name, names[i]);
        EXPECT_EQ(drawn[i].shape, shapes[i]);
        size_t size = 1;
        for (const int64_t length : shapes[i]) size *= static_cast<size_t>(length);
        ASSERT_EQ(drawn[i].values.size(), size);
        ExpectGolden(drawn[i], golden.arrays[i]);
      }
    }
  }
}

// What every task has in common.
struct Kind {
  v1::Architecture architecture;
  v1::Target target;
  int search_version;
  int64_t length;
};

void PrintTo(const Kind& kind, std::ostream* out) {
  *out << v1::Architecture_Name(kind.architecture) << ' ' << v1::Target_Name(kind.target) << ' '
       << kind.search_version;
}

class AnyTask : public testing::TestWithParam<Kind> {
 protected:
  static std::unique_ptr<Task> Make(int rules) {
    v1::JobConfig config = TaskConfig(GetParam().architecture, GetParam().target, rules, 2);
    if (config.architecture() == v1::MHA) config.set_search_version(GetParam().search_version);
    if (config.architecture() == v1::RNN) config.set_input_dim(6);
    return MakeTask(config);
  }
  static SampleRequest RequestOf(int64_t samples, float scale = 1.0F) {
    return Request(samples, GetParam().length, scale);
  }
};

INSTANTIATE_TEST_SUITE_P(
    All, AnyTask,
    testing::Values(Kind{v1::MLP, v1::REGRESSION, 0, 1}, Kind{v1::MLP, v1::CLASSIFICATION, 0, 1},
                    Kind{v1::MHA, v1::REGRESSION, 1, 10}, Kind{v1::MHA, v1::CLASSIFICATION, 1, 10},
                    Kind{v1::MHA, v1::REGRESSION, 2, 10}, Kind{v1::MHA, v1::CLASSIFICATION, 2, 10},
                    Kind{v1::RNN, v1::REGRESSION, 0, 10},
                    Kind{v1::RNN, v1::CLASSIFICATION, 0, 10}));

TEST_P(AnyTask, EqualRequestsGiveEqualSamples) {
  const Samples once = DrawSamples(*Make(4), RequestOf(300));
  const Samples again = DrawSamples(*Make(4), RequestOf(300));
  EXPECT_EQ(once.input, again.input);
  EXPECT_EQ(once.rule, again.rule);
  EXPECT_EQ(once.target, again.target);
}

TEST_P(AnyTask, EveryPartOfTheRequestCounts) {
  const auto task = Make(4);
  std::set<std::vector<float>> inputs;
  std::set<std::vector<int32_t>> rules;
  SampleRequest request = RequestOf(100);
  const auto add = [&] {
    const Samples samples = DrawSamples(*task, request);
    inputs.insert(samples.input);
    rules.insert(samples.rule);
  };
  add();
  request.block = 1;
  add();
  request.key.purpose = StreamPurpose::kEvaluation;
  add();
  request.key.data_seed = 12;
  add();
  request.key.model_seed = 4;
  add();
  EXPECT_EQ(inputs.size(), 5u);
  EXPECT_EQ(rules.size(), 5u);
}

TEST_P(AnyTask, ScaleMultipliesInputsBeforeTheTarget) {
  const auto task = Make(4);
  const Samples once = DrawSamples(*task, RequestOf(200));
  const Samples twice = DrawSamples(*task, RequestOf(200, 2.0F));
  EXPECT_EQ(once.rule, twice.rule);
  for (size_t i = 0; i < once.input.size(); ++i) ASSERT_EQ(twice.input[i], 2.0F * once.input[i]);
  const float factor = GetParam().target == v1::REGRESSION ? 2.0F : 1.0F;
  for (size_t i = 0; i < once.target.size(); ++i) {
    ASSERT_EQ(twice.target[i], factor * once.target[i]);
  }
}

TEST_P(AnyTask, RulesAreUniform) {
  const Samples samples = DrawSamples(*Make(5), RequestOf(40'000 / GetParam().length));
  std::vector<double> share(5, 0.0);
  for (const int32_t rule : samples.rule) share.at(static_cast<size_t>(rule)) += 1.0 / 40'000;
  for (const double value : share) EXPECT_NEAR(value, 0.2, 0.01);
}

TEST_P(AnyTask, RuleWeightsChooseTheRules) {
  const std::vector<double> weights = {0.0, 0.25, 0.75};
  SampleRequest request = RequestOf(40'000 / GetParam().length);
  request.rule_weights = &weights;
  const auto task = Make(3);
  const Samples samples = DrawSamples(*task, request);
  std::vector<double> share(3, 0.0);
  for (const int32_t rule : samples.rule) share.at(static_cast<size_t>(rule)) += 1.0 / 40'000;
  EXPECT_EQ(share[0], 0.0);
  EXPECT_NEAR(share[1], 0.25, 0.01);
  // The numbers are those drawn without weights.
  request.rule_weights = nullptr;
  EXPECT_EQ(samples.input, DrawSamples(*task, request).input);
}

// The two numbers of keys of length one, in search version 2, have variance 1/2.
TEST_P(AnyTask, InputsHaveTheirMoments) {
  const auto task = Make(2);
  const int64_t samples = 40'000 / GetParam().length;
  const Samples drawn = DrawSamples(*task, RequestOf(samples));
  for (int64_t row = 0; row < task->inputs(); ++row) {
    double mean = 0.0;
    double square = 0.0;
    double product = 0.0;
    for (int64_t i = 0; i < drawn.tokens; ++i) {
      const auto value = static_cast<double>(drawn.in(row, i));
      mean += value / 40'000;
      square += value * value / 40'000;
      product += value * static_cast<double>(drawn.in((row + 2) % task->inputs(), i)) / 40'000;
    }
    const double variance = GetParam().search_version == 2 && row % 6 < 4 ? 0.5 : 1.0;
    EXPECT_NEAR(mean, 0.0, 0.025) << row;
    EXPECT_NEAR(square, variance, 0.035) << row;
    if (task->inputs() > 2) {
      EXPECT_NEAR(product, 0.0, 0.025) << row;
    }
  }
}

TEST_P(AnyTask, LabelsAreZeroOrOneAndNumbersAreNot) {
  const Samples samples = DrawSamples(*Make(4), RequestOf(200));
  const std::set<float> values(samples.target.begin(), samples.target.end());
  if (GetParam().target == v1::CLASSIFICATION) {
    EXPECT_EQ(values, (std::set<float>{0.0F, 1.0F}));
  } else {
    EXPECT_GT(values.size(), 190u);
  }
}

TEST_P(AnyTask, AShorterSequenceIsTheBeginningOfALongerOne) {
  const auto task = Make(3);
  const int64_t length = GetParam().length;
  const Samples longer = DrawSamples(*task, Request(70, length));
  const Samples shorter = DrawSamples(*task, Request(70, (length + 1) / 2));
  for (int64_t i = 0; i < shorter.tokens; ++i) {
    EXPECT_EQ(longer.rule_of(i), shorter.rule_of(i));
    for (int64_t row = 0; row < task->inputs(); ++row) {
      EXPECT_EQ(longer.in(row, i), shorter.in(row, i));
    }
  }
}

// The published code decides y >= 0.
TEST(Labels, AreTheSignsOfTheNumbers) {
  for (const v1::Architecture architecture : {v1::MLP, v1::MHA}) {
    const SampleRequest request = Request(500, architecture == v1::MLP ? 1 : 5);
    const Samples numbers =
        DrawSamples(*MakeTask(TaskConfig(architecture, v1::REGRESSION, 6, 9)), request);
    const Samples labels =
        DrawSamples(*MakeTask(TaskConfig(architecture, v1::CLASSIFICATION, 6, 9)), request);
    EXPECT_EQ(numbers.input, labels.input);
    for (int64_t i = 0; i < numbers.tokens; ++i) {
      EXPECT_EQ(labels.out(0, i), numbers.out(0, i) >= 0.0F ? 1.0F : 0.0F);
    }
  }
}

}  // namespace
}  // namespace modlab
