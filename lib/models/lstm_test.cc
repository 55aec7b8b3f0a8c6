#include "lib/models/lstm.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <vector>

namespace modlab {
namespace {

struct Shape {
  int64_t jobs, modules, inputs, hidden, length, samples;
};

void PrintTo(const Shape& shape, std::ostream* out) {
  *out << "J=" << shape.jobs << " M=" << shape.modules << " E=" << shape.inputs
       << " h=" << shape.hidden << " N=" << shape.length << " B=" << shape.samples;
}

LstmInput RandomInput(const Shape& shape, bool scored, at::ScalarType type) {
  const int64_t columns = shape.length * shape.samples;
  const int64_t rows = 4 * shape.modules * shape.hidden;
  const auto random = [&](std::vector<int64_t> sizes) {
    return at::randn(sizes, at::kDouble).to(type).set_requires_grad(true);
  };
  LstmInput in;
  in.input = random({shape.jobs, shape.inputs, columns});
  in.weight = random({shape.jobs, rows, shape.inputs + shape.hidden});
  in.routing = scored ? random({shape.jobs, shape.modules, 8 * shape.hidden})
                      : random({shape.jobs, shape.modules, columns});
  in.scored = scored;
  in.length = shape.length;
  return in;
}

struct Result {
  LstmOutput output;
  std::vector<at::Tensor> gradients;
};

// Of leaves of its own, with gradients of a sum of hidden states with unequal weights.
template <typename Function>
Result Compute(const LstmInput& given, const Function& function) {
  LstmInput in = given;
  std::vector<at::Tensor*> leaves = {&in.input, &in.weight, &in.routing};
  for (at::Tensor* leaf : leaves) *leaf = leaf->detach().clone().set_requires_grad(true);
  Result result;
  result.output = function(in);
  const at::Tensor& hidden = result.output.hidden;
  const at::Tensor weights = at::cos(at::arange(hidden[0].numel(), hidden.options()));
  (hidden * weights.view(hidden[0].sizes())).sum().backward();
  for (at::Tensor* leaf : leaves) result.gradients.push_back(leaf->grad());
  return result;
}

// The largest difference, in units of the largest number.
double Distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-30)).item<double>();
}

class LstmTest : public testing::TestWithParam<Shape> {};

TEST_P(LstmTest, KernelsAgreeWithTheComposedOperations) {
  at::manual_seed(5);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const bool scored : {false, true}) {
      SCOPED_TRACE(testing::Message() << c10::toString(type) << (scored ? " scored" : " given"));
      const double tolerance = type == at::kFloat ? 2e-5 : 1e-12;
      const LstmInput in = RandomInput(GetParam(), scored, type);
      const Result fast = Compute(in, Lstm), plain = Compute(in, ComposedLstm);
      EXPECT_LT(Distance(fast.output.hidden, plain.output.hidden), tolerance);
      EXPECT_LT(Distance(fast.output.p, plain.output.p), tolerance);
      for (size_t i = 0; i < fast.gradients.size(); ++i) {
        EXPECT_LT(Distance(fast.gradients[i], plain.gradients[i]), tolerance) << "gradient " << i;
      }
    }
  }
}

TEST_P(LstmTest, WithoutGradientsTheBitsAreTheSame) {
  at::manual_seed(6);
  for (const bool scored : {false, true}) {
    const LstmInput in = RandomInput(GetParam(), scored, at::kFloat);
    const LstmOutput expected = Lstm(in);
    at::NoGradGuard no_grad;
    const LstmOutput output = Lstm(in);
    EXPECT_TRUE(at::equal(output.hidden, expected.hidden));
    EXPECT_TRUE(at::equal(output.p, expected.p));
  }
}

TEST_P(LstmTest, OfAOneHotMixtureOnlyTheChosenCellsAreComputedAndNothingChanges) {
  at::manual_seed(9);
  const Shape& shape = GetParam();
  LstmInput in = RandomInput(shape, /*scored=*/false, at::kDouble);
  const int64_t columns = shape.length * shape.samples;
  in.routing = at::one_hot(at::randint(shape.modules, {shape.jobs, columns}), shape.modules)
                   .transpose(1, 2)
                   .contiguous()
                   .to(at::kDouble);
  const Result plain = Compute(in, ComposedLstm);
  in.one_hot = true;
  const Result fast = Compute(in, Lstm);
  EXPECT_LT(Distance(fast.output.hidden, plain.output.hidden), 1e-12);
  for (size_t i = 0; i < 2; ++i) {  // input and weight
    EXPECT_LT(Distance(fast.gradients[i], plain.gradients[i]), 1e-12) << "gradient " << i;
  }
  at::NoGradGuard no_grad;
  EXPECT_TRUE(at::equal(Lstm(in).hidden, fast.output.hidden));
}

// A job must not notice its gang mates.
TEST_P(LstmTest, AJobAloneHasTheSameBits) {
  at::manual_seed(7);
  for (const bool scored : {false, true}) {
    const LstmInput gang = RandomInput(GetParam(), scored, at::kFloat);
    const Result expected = Compute(gang, Lstm);
    for (int64_t job = 0; job < GetParam().jobs; ++job) {
      LstmInput alone = gang;
      for (at::Tensor* tensor : {&alone.input, &alone.weight, &alone.routing}) {
        *tensor = tensor->detach().narrow(0, job, 1);
      }
      const Result result = Compute(alone, Lstm);
      EXPECT_TRUE(at::equal(result.output.hidden[0], expected.output.hidden[job]));
      EXPECT_TRUE(at::equal(result.output.p[0], expected.output.p[job]));
      for (size_t i = 0; i < result.gradients.size(); ++i) {
        EXPECT_TRUE(at::equal(result.gradients[i][0], expected.gradients[i][job])) << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LstmTest,
                         testing::Values(Shape{1, 1, 1, 1, 1, 1}, Shape{3, 3, 5, 4, 3, 1},
                                         Shape{2, 2, 3, 7, 2, 15}, Shape{3, 4, 6, 5, 4, 16},
                                         Shape{2, 5, 9, 3, 5, 17}, Shape{2, 8, 4, 11, 2, 64},
                                         Shape{3, 1, 7, 13, 6, 101}, Shape{1, 6, 8, 10, 3, 130}));

TEST(Lstm, NumbersThatAreNoneAreNotHidden) {
  at::manual_seed(8);
  const LstmInput in = RandomInput({1, 2, 3, 4, 2, 20}, true, at::kFloat);
  at::NoGradGuard no_grad;
  in.weight.fill_(std::nan(""));
  EXPECT_TRUE(at::isnan(Lstm(in).hidden).all().item<bool>());
}

}  // namespace
}  // namespace modlab
