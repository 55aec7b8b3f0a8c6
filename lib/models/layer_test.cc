#include "lib/models/layer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <vector>

#include "lib/models/fold.h"
#include "lib/models/mixing.h"
#include "lib/models/propagation_fixture.h"
#include "lib/models/rule_order.h"

namespace modlab {
namespace {

struct Shape {
  int64_t jobs, groups, outputs, inputs, columns;
};

void PrintTo(const Shape& shape, std::ostream* out) {
  *out << "J=" << shape.jobs << " G=" << shape.groups << " O=" << shape.outputs
       << " I=" << shape.inputs << " T=" << shape.columns;
}

class LayerTest : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override { at::manual_seed(3); }
};

TEST_P(LayerTest, AgreesWithComposedOperations) {
  const auto& [J, G, O, I, T] = GetParam();
  const Tensors arguments = Random({{J, G, O, I}, {J, G, O}, {J, G * I, T}});
  for (const bool relu : {false, true}) {
    ExpectSame(
        [&](const Tensors& a) {
          return Layer({a[0], a[1], a[2], relu, {}});
        },
        [&](const Tensors& a) {
          return ComposedLayer({a[0], a[1], a[2], relu, {}});
        },
        arguments);
    ExpectSame(
        [&](const Tensors& a) {
          return Layer({a[0], {}, a[1], relu, {}});
        },
        [&](const Tensors& a) {
          return ComposedLayer({a[0], {}, a[1], relu, {}});
        },
        {arguments[0], arguments[2]});
  }
}

TEST_P(LayerTest, WeightsMayLieTransposed) {
  const auto& [J, G, O, I, T] = GetParam();
  const Tensors arguments = Random({{J, G, I, O}, {J, G, O}, {J, G * I, T}});
  const auto of = [](const Tensors& a) {
    return LayerInput{a[0].transpose(2, 3), a[1], a[2], true, {}};
  };
  ExpectSame([&](const Tensors& a) { return Layer(of(a)); },
             [&](const Tensors& a) { return ComposedLayer(of(a)); }, arguments, /*relu=*/true);
}

TEST_P(LayerTest, TheRuleIsMoreInputs) {
  const auto& [J, G, O, I, T] = GetParam();
  const at::Tensor rule = RandomRules(J, 3, T);
  const auto of = [&](const Tensors& a) {
    // An argument, so that a job alone has the rules that it has in the gang.
    const at::Tensor mine = a[3].detach().to(a[0].scalar_type());
    return LayerInput{a[0], a[1], a[2], true, {}, mine};
  };
  Tensors arguments = Random({{J, G, O, I + 3}, {J, G, O}, {J, G * I, T}});
  arguments.push_back(rule);
  // The rule has no gradient; one of zeros stands for it.
  const auto with = [&](const auto& layer) {
    return [&, layer](const Tensors& a) { return layer(of(a)) + a[3].sum() * 0; };
  };
  ExpectSame(with([](const LayerInput& in) { return Layer(in); }),
             with([](const LayerInput& in) { return ComposedLayer(in); }), arguments,
             /*relu=*/true);
}

TEST_P(LayerTest, GroupsComputeTheirOwnColumnsAlone) {
  const auto& [J, G, O, I, T] = GetParam();
  const Tensors arguments = Random({{J, G, O, I + G}, {J, G, O}, {J, I, T}});
  const at::Tensor rule = RandomRules(J, G, T);
  const auto fast = [&](const Tensors& a) {
    const RuleOrder order(rule.narrow(0, 0, a[0].size(0)));
    return order.Restore(
        Layer({a[0], a[1], order.Sort(a[2]), true, order.columns(), order.Sort(rule)}));
  };
  const auto all_groups = [&](const Tensors& a) {  // and all but one of no account
    const at::Tensor x = a[2].repeat({1, G, 1});
    const at::Tensor y = ComposedLayer({a[0], a[1], x, true, {}, rule}).view({J, G, O, T});
    return (y * rule.unsqueeze(2)).sum(1);
  };
  ExpectNear(Propagate(fast, arguments), Propagate(all_groups, arguments), 1e-12);
}

TEST_P(LayerTest, MixingAgreesWithComposedOperations) {
  const auto& [J, M, K, unused, T] = GetParam();
  ExpectSame([](const Tensors& a) { return Mix(a[0], a[1]); },
             [](const Tensors& a) { return ComposedMix(a[0], a[1]); },
             Random({{J, M * K, T}, {J, M, T}}));
  ExpectSame([](const Tensors& a) { return MixScored(a[0], a[1], a[2]); },
             [](const Tensors& a) { return ComposedMixScored(a[0], a[1], a[2]); },
             Random({{J, M * K, T}, {J, M, K}, {J, M}}));
}

TEST_P(LayerTest, FoldsAgreeWithComposedOperations) {
  const auto& [J, M, K, e, R] = GetParam();
  for (const bool transposed : {false, true}) {
    const auto of = [&](const Tensors& a) {
      InputFold fold{transposed ? a[0].transpose(2, 3) : a[0], a[1], a[2]};
      if (a.size() == 5) {
        fold.digit_weight = a[3];
        fold.digit_bias = a[4];
      }
      return fold;
    };
    Tensors arguments = Random({{J, M, K, 3 * e}, {J, M, K}, {J, e, R}, {J, e, e}, {J, e}});
    if (transposed) arguments[0] = arguments[0].transpose(2, 3).contiguous();
    for (const size_t given : {size_t{5}, size_t{3}}) {
      arguments.resize(given);
      ExpectSame([&](const Tensors& a) { return FoldInputs(of(a)); },
                 [&](const Tensors& a) { return ComposedFoldInputs(of(a)); }, arguments);
    }
  }
  for (const int64_t scores : {0, 1}) {
    const auto all_of = [](const DecoderFold& fold) {
      return at::cat({fold.last.flatten(1), fold.score_weight.flatten(1), fold.score_bias}, 1);
    };
    ExpectSame([&](const Tensors& a) { return all_of(FoldDecoder(a[0], a[1], a[2])); },
               [&](const Tensors& a) { return all_of(ComposedFoldDecoder(a[0], a[1], a[2])); },
               Random({{J, e, R}, {J, M, K, R + scores}, {J, M, R + scores}}));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LayerTest,
                         testing::Values(Shape{1, 1, 1, 1, 1}, Shape{3, 2, 5, 7, 3},
                                         Shape{2, 1, 16, 32, 65}, Shape{2, 8, 16, 12, 256},
                                         Shape{3, 3, 17, 9, 100}, Shape{2, 4, 33, 6, 700},
                                         Shape{2, 1, 130, 140, 90}));

TEST(Layer, NumbersThatAreNoneAreNotHidden) {
  const at::Tensor weight = at::full({1, 2, 3}, std::nan(""));
  const at::Tensor x = at::ones({1, 3, 20});
  EXPECT_TRUE(at::isnan(Layer({weight, {}, x, /*relu=*/true, {}})).all().item<bool>());
}

}  // namespace
}  // namespace modlab
