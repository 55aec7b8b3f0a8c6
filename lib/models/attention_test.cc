#include "lib/models/attention.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>
#include <utility>

#include "lib/models/propagation_fixture.h"

namespace modlab {

void PrintTo(const AttentionShape& shape, std::ostream* out) {
  *out << "M=" << shape.modules << " H=" << shape.heads << " h=" << shape.width
       << " N=" << shape.length;
}

namespace {

struct Case {
  AttentionShape shape;
  int64_t samples;
};

void PrintTo(const Case& c, std::ostream* out) {
  PrintTo(c.shape, out);
  *out << " B=" << c.samples;
}

at::Tensor RandomProjected(const Case& c, int64_t jobs) {
  at::manual_seed(5);
  return at::randn({jobs, c.shape.projected_rows(), c.shape.length * c.samples}, at::kDouble);
}

// Weights that change nothing, and all samples in one tile.
AttentionInput Plain(const at::Tensor& projected, const AttentionShape& shape) {
  const int64_t jobs = projected.size(0), rows = shape.projected_rows();
  return {at::eye(rows, projected.options().requires_grad(false)).expand({jobs, rows, rows}),
          at::zeros({jobs, rows}, projected.options().requires_grad(false)), projected,
          projected.size(2) / shape.length};
}

at::Tensor ByKernel(const at::Tensor& projected, const AttentionShape& shape) {
  return Attend(Plain(projected, shape), shape);
}

at::Tensor Composed(const at::Tensor& projected, const AttentionShape& shape) {
  return ComposedAttend(Plain(projected, shape), shape);
}

// Output and gradient of `attend` for a given gradient of the output.
std::pair<at::Tensor, at::Tensor> Forth(decltype(ByKernel)* attend, const at::Tensor& projected,
                                        const AttentionShape& shape, const at::Tensor& gradient) {
  const at::Tensor leaf = projected.detach().clone().set_requires_grad(true);
  const at::Tensor joined = attend(leaf, shape);
  joined.backward(gradient);
  return {joined.detach(), leaf.grad()};
}

double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

class AttentionTest : public testing::TestWithParam<Case> {};

TEST_P(AttentionTest, KernelAgreesWithComposedOperations) {
  const Case& c = GetParam();
  const at::Tensor projected = RandomProjected(c, 2);
  const at::Tensor gradient = at::randn({2, c.shape.joined_rows(), projected.size(2)}, at::kDouble);
  const auto [want, want_gradient] = Forth(Composed, projected, c.shape, gradient);
  const auto [composed, composed_gradient] =
      Forth(Composed, projected.to(at::kFloat), c.shape, gradient.to(at::kFloat));

  const auto [in_double, in_double_gradient] = Forth(ByKernel, projected, c.shape, gradient);
  EXPECT_LT(LargestDifference(in_double, want), 1e-13);
  EXPECT_LT(LargestDifference(in_double_gradient, want_gradient), 1e-12);

  const auto [in_float, in_float_gradient] =
      Forth(ByKernel, projected.to(at::kFloat), c.shape, gradient.to(at::kFloat));
  EXPECT_EQ(in_float.scalar_type(), at::kFloat);
  EXPECT_LT(LargestDifference(in_float, want), 2 * LargestDifference(composed, want) + 2e-6);
  EXPECT_LT(LargestDifference(in_float_gradient, want_gradient),
            2 * LargestDifference(composed_gradient, want_gradient) + 1e-5);
}

TEST_P(AttentionTest, GangMatesChangeNoBit) {
  const Case& c = GetParam();
  const at::Tensor projected = RandomProjected(c, 3).to(at::kFloat);
  const at::Tensor gradient = at::randn({3, c.shape.joined_rows(), projected.size(2)});
  const auto [together, together_gradient] = Forth(ByKernel, projected, c.shape, gradient);
  for (int64_t j = 0; j < 3; ++j) {
    const auto [alone, alone_gradient] =
        Forth(ByKernel, projected.narrow(0, j, 1), c.shape, gradient.narrow(0, j, 1));
    EXPECT_TRUE(at::equal(alone[0], together[j]));
    EXPECT_TRUE(at::equal(alone_gradient[0], together_gradient[j]));
  }
}

// Samples, so tails and whole lines of them, do not see each other either.
TEST_P(AttentionTest, ASampleAloneGivesTheSame) {
  const Case& c = GetParam();
  const at::Tensor projected = RandomProjected(c, 1).to(at::kFloat);
  const at::Tensor joined = ByKernel(projected, c.shape);
  const int64_t last = c.samples - 1;
  const at::Tensor alone = ByKernel(
      projected.view({1, -1, c.shape.length, c.samples}).select(3, last).contiguous(), c.shape);
  EXPECT_TRUE(at::equal(alone, joined.view({1, -1, c.shape.length, c.samples}).select(3, last)));
}

TEST_P(AttentionTest, WhatIsProjectedTileByTileAgrees) {
  const Case& c = GetParam();
  const int64_t e = 5, rows = c.shape.projected_rows(), tiles = 3;
  const auto of = [&](const Tensors& a) { return AttentionInput{a[0], a[1], a[2], c.samples}; };
  ExpectSame([&](const Tensors& a) { return Attend(of(a), c.shape); },
             [&](const Tensors& a) { return ComposedAttend(of(a), c.shape); },
             Random({{2, rows, e}, {2, rows}, {2, e, tiles * c.samples * c.shape.length}}));
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest,
                         testing::Values(Case{{
                                                  1,
                                                  1,
                                                  1,
                                                  2,
                                              },
                                              1},
                                         Case{{2, 2, 3, 3}, 5}, Case{{1, 3, 4, 10}, 16},
                                         Case{{3, 1, 8, 5}, 33}, Case{{2, 2, 5, 7}, 15},
                                         Case{{2, 1, 1, 12}, 40}, Case{{1, 2, 3, 50}, 9},
                                         Case{{1, 1, 33, 30}, 17}, Case{{8, 2, 8, 10}, 64}));

TEST(Attention, OfTwoTokensEachRetrievesTheOther) {
  const AttentionShape shape{1, 2, 3, 2};
  const at::Tensor projected = at::randn({1, shape.projected_rows(), 2 * 5});
  const at::Tensor values = projected.narrow(1, 2 * shape.queries(), shape.queries());
  const at::Tensor joined = ByKernel(projected, shape).narrow(1, 0, shape.queries());
  EXPECT_TRUE(at::equal(joined.narrow(2, 0, 5), values.narrow(2, 5, 5)));
  EXPECT_TRUE(at::equal(joined.narrow(2, 5, 5), values.narrow(2, 0, 5)));
}

TEST(Attention, HugeScoresNeitherOverflowNorVanish) {
  const AttentionShape shape{2, 1, 4, 6};
  at::manual_seed(3);
  at::Tensor projected = at::randn({1, shape.projected_rows(), 6 * 20});
  projected.narrow(1, 0, 2 * shape.queries()).mul_(100.0);
  const at::Tensor joined = ByKernel(projected, shape);
  EXPECT_TRUE(at::isfinite(joined).all().item<bool>());
  EXPECT_LT(LargestDifference(joined, Composed(projected, shape)), 1e-2);
}

TEST(Attention, ATokensOwnScoreCountsForNothing) {
  const AttentionShape shape{1, 1, 1, 3};
  // Token 0 would look at itself with weight e^(90 * 90), which is no float.
  at::Tensor projected = at::zeros({1, shape.projected_rows(), 3});
  for (int64_t row = 0; row < 2; ++row) projected[0][row][0] = 90.0;
  projected[0][2] = at::arange(3).to(at::kFloat);
  EXPECT_FLOAT_EQ(ByKernel(projected, shape)[0][0][0].item<float>(), 1.5f);
}

TEST(Attention, NotANumberIsPassedOn) {
  const AttentionShape shape{1, 1, 2, 3};
  at::Tensor projected = at::randn({1, shape.projected_rows(), 3 * 2});
  projected[0][0][0] = std::numeric_limits<float>::quiet_NaN();  // query of token 0, sample 0
  const at::Tensor joined = ByKernel(projected, shape);
  EXPECT_TRUE(std::isnan(joined[0][0][0].item<float>()));
  EXPECT_FALSE(std::isnan(joined[0][0][1].item<float>()));
}

TEST(Attention, WithoutGradientsNothingIsKeptForThem) {
  const AttentionShape shape{1, 1, 2, 3};
  const at::Tensor projected = at::randn({1, shape.projected_rows(), 3}).set_requires_grad(true);
  EXPECT_TRUE(ByKernel(projected, shape).requires_grad());
  at::NoGradGuard no_grad;
  EXPECT_FALSE(ByKernel(projected, shape).requires_grad());
}

}  // namespace
}  // namespace modlab
