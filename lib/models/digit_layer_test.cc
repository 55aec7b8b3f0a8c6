#include "lib/models/digit_layer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <ostream>

#include "lib/models/propagation_fixture.h"
#include "lib/models/rule_order.h"

namespace modlab {
namespace {

struct Shape {
  int64_t jobs, e, rules, units, columns;
};

void PrintTo(const Shape& shape, std::ostream* out) {
  *out << "J=" << shape.jobs << " e=" << shape.e << " R=" << shape.rules << " U=" << shape.units
       << " T=" << shape.columns;
}

class DigitLayerTest : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override { at::manual_seed(5); }

  // slope, offset, weight; then digits and rule, which have no gradient.
  static Tensors Arguments() {
    const auto& [J, e, R, U, T] = GetParam();
    Tensors arguments = Random({{J, e, 1}, {J, e}, {J, 2 * e + R, U}, {J, 2, T}});
    arguments.push_back(RandomRules(J, R, T));
    return arguments;
  }

  template <typename Layer>
  static Function With(const Layer& layer) {
    return [layer](const Tensors& a) {
      const at::Tensor digits = a[3].detach(), rule = a[4].detach();
      // A gradient of zeros stands for none.
      return layer(DigitLayerInput{a[0], a[1], a[2], digits, rule}) + 0 * (a[3].sum() + a[4].sum());
    };
  }
};

TEST_P(DigitLayerTest, AgreesWithComposedOperations) {
  ExpectSame(With([](const DigitLayerInput& in) { return DigitLayer(in); }),
             With([](const DigitLayerInput& in) { return ComposedDigitLayer(in); }), Arguments(),
             /*relu=*/true);
}

TEST_P(DigitLayerTest, HingesWithoutSlopeAreOpenOrNot) {
  Tensors arguments = Arguments();
  for (int64_t i = 0; i < arguments[0].size(1); i += 2) arguments[0].select(1, i).zero_();
  ExpectSame(With([](const DigitLayerInput& in) { return DigitLayer(in); }),
             With([](const DigitLayerInput& in) { return ComposedDigitLayer(in); }), arguments,
             /*relu=*/true);
}

TEST_P(DigitLayerTest, GroupsComputeTheirOwnColumnsAlone) {
  const auto& [J, e, R, U, T] = GetParam();
  if (U % R != 0) GTEST_SKIP() << "no groups of " << U << " units for " << R << " rules";
  const auto grouped = [](DigitLayerInput in) {
    const RuleOrder order(in.rule);
    in.digits = order.Sort(in.digits);
    in.rule = order.Sort(in.rule);
    in.columns = order.columns();
    return order.Restore(DigitLayer(in));
  };
  const auto all_groups = [](const DigitLayerInput& in) {  // and all but one of no account
    const int64_t rules = in.rule.size(1), columns = in.rule.size(2);
    const at::Tensor y = ComposedDigitLayer(in).view({in.rule.size(0), rules, -1, columns});
    return (y * in.rule.unsqueeze(2)).sum(1);
  };
  ExpectSame(With(grouped), With(all_groups), Arguments(), /*relu=*/true);
}

INSTANTIATE_TEST_SUITE_P(Shapes, DigitLayerTest,
                         testing::Values(Shape{1, 1, 1, 1, 1}, Shape{3, 5, 2, 6, 7},
                                         Shape{2, 32, 8, 128, 256}, Shape{2, 17, 3, 99, 100},
                                         Shape{2, 40, 4, 192, 33}, Shape{1, 3, 5, 65, 700}));

// Whoever trains sees that the training diverges by what is no number.
TEST(DigitLayer, NumbersThatAreNoneAreNotHidden) {
  for (const int part : {0, 1, 2}) {
    for (const double slope : {1.0, -1.0}) {
      Tensors a = {at::full({1, 4, 1}, slope), at::ones({1, 4}), at::ones({1, 9, 3})};
      a[part].select(1, 0).fill_(std::nan(""));
      const at::Tensor digits = at::tensor({-9.0, 9.0}).repeat({1, 2, 5}).to(at::kFloat);
      const at::Tensor rule = at::ones({1, 1, 10});
      const at::Tensor y = DigitLayer({a[0], a[1], a[2], digits, rule});
      const at::Tensor open = part == 2 ? digits[0][0] * slope + 1 > 0 : at::ones({10}, at::kBool);
      EXPECT_TRUE(at::isnan(y[0]).all(0).logical_or(open.logical_not()).all().item<bool>())
          << part << " " << slope;
    }
  }
}

}  // namespace
}  // namespace modlab
