#include "lib/models/layer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <ostream>
#include <vector>

#include "lib/models/fold.h"
#include "lib/models/mixing.h"
#include "lib/models/rule_order.h"

namespace modlab {
namespace {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<at::Tensor(const Tensors&)>;

Tensors Random(const std::vector<std::vector<int64_t>>& sizes) {
  Tensors tensors;
  for (const std::vector<int64_t>& size : sizes) tensors.push_back(at::randn(size, at::kDouble));
  return tensors;
}

// What `function` makes of `arguments`, then the gradients of a sum of it with unequal
// weights by each of them.
Tensors Propagate(const Function& function, const Tensors& arguments) {
  Tensors leaves;
  for (const at::Tensor& argument : arguments) {
    leaves.push_back(argument.detach().clone().set_requires_grad(true));
  }
  const at::Tensor output = function(leaves);
  const at::Tensor weights = at::cos(at::arange(output[0].numel(), output.options()));
  (output * weights.view(output[0].sizes())).sum().backward();
  Tensors result = {output.detach()};
  for (const at::Tensor& leaf : leaves) result.push_back(leaf.grad());
  return result;
}

void ExpectNear(const Tensors& got, const Tensors& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].sizes(), want[i].sizes()) << i;
    if (want[i].numel() == 0) continue;
    const at::Tensor scale = want[i].abs().max().clamp_min(1.0);
    EXPECT_LT(((got[i] - want[i]).abs().max() / scale).item<double>(), tolerance) << i;
  }
}

Tensors To(at::ScalarType type, Tensors tensors) {
  for (at::Tensor& tensor : tensors) tensor = tensor.to(type);
  return tensors;
}

// The fast form agrees with the composed one, and gives a job alone the bits that it has
// in the gang. Rounding to float may bend another number where there is a ReLU.
void ExpectSame(const Function& fast, const Function& composed, const Tensors& arguments,
                bool relu = false) {
  const Tensors want = Propagate(composed, arguments);
  ExpectNear(Propagate(fast, arguments), want, 1e-12);
  const Tensors floats = To(at::kFloat, arguments);
  const Tensors gang = Propagate(fast, floats);
  if (relu) {
    ExpectNear(To(at::kDouble, {gang[0]}), {want[0]}, 2e-4);
  } else {
    ExpectNear(To(at::kDouble, gang), want, 2e-4);
  }
  for (int64_t job = 0; job < arguments[0].size(0); ++job) {
    Tensors alone;
    for (const at::Tensor& argument : floats) alone.push_back(argument.narrow(0, job, 1));
    const Tensors result = Propagate(fast, alone);
    for (size_t i = 0; i < result.size(); ++i) {
      EXPECT_TRUE(at::equal(result[i][0], gang[i][job])) << i;
    }
  }
}

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

// [J, R, T]
at::Tensor RandomRules(int64_t jobs, int64_t rules, int64_t columns) {
  return at::one_hot(at::randint(rules, {jobs, columns}), rules)
      .transpose(1, 2)
      .contiguous()
      .to(at::kDouble);
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
      return at::cat({fold.last.flatten(1), fold.score_weight, fold.score_bias}, 1);
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
