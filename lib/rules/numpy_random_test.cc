#include "lib/rules/numpy_random.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <vector>

namespace modlab {
namespace {

// All expected numbers were printed by numpy 1.24 in full precision, and are
// compared to the last bit but for what libm's logarithm may change.

TEST(RandomState, UniformIsNumpys) {
  const std::map<uint32_t, std::vector<double>> expected = {
      {0, {0.5488135039273248, 0.7151893663724195, 0.6027633760716439}},
      {5, {0.22199317108973948, 0.8707323061773764, 0.20671915533942642}},
      {4294967295, {0.0976320289940138, 0.9123828453026218, 0.78903530185164}},
  };
  for (const auto& [seed, numbers] : expected) {
    RandomState random(seed);
    for (const double number : numbers) EXPECT_EQ(random.Uniform(), number) << seed;
  }
}

TEST(RandomState, NormalsAreNumpys) {
  const std::map<uint32_t, std::vector<double>> expected = {
      {0,
       {1.764052345967664, 0.4001572083672233, 0.9787379841057392, 2.240893199201458,
        1.8675579901499675}},
      {1,
       {1.6243453636632417, -0.6117564136500754, -0.5281717522634557, -1.0729686221561705,
        0.8654076293246785}},
      {7,
       {1.690525703800356, -0.4659373705408328, 0.0328201636785844, 0.40751628299650783,
        -0.7889230286257386}},
      {42,
       {0.4967141530112327, -0.13826430117118466, 0.6476885381006925, 1.5230298564080254,
        -0.23415337472333597}},
      {12345,
       {-0.20470765948471295, 0.47894333805754824, -0.5194387150567381, -0.55573030434749,
        1.9657805725027142}},
      {2147483648,
       {0.3184761273282464, -0.34575349241475667, 0.2255674496017024, 1.5130304859621413,
        -1.2839937468838771}},
      {4294967295,
       {0.6484086742306527, 0.6693235306338161, -1.0805437227474493, 0.2845010447986309,
        0.11388773652167104}},
  };
  for (const auto& [seed, numbers] : expected) {
    const std::vector<double> drawn = RandomState(seed).Normals(5);
    ASSERT_EQ(drawn.size(), 5u);
    for (size_t i = 0; i < 5; ++i) EXPECT_DOUBLE_EQ(drawn[i], numbers[i]) << seed;
  }
}

TEST(RandomState, NormalsFarOn) {
  const std::vector<double> drawn = RandomState(5).Normals(100'000);
  EXPECT_DOUBLE_EQ(drawn[99'998], 1.4232138384092412);
  EXPECT_DOUBLE_EQ(drawn[99'999], -0.07158414946263424);
}

// An odd count leaves a cached value, which the next draw starts with.
TEST(RandomState, ArraysShareTheCachedValue) {
  RandomState random(3);
  const std::vector<double> first = random.Normals(3);
  const std::vector<double> second = random.Normals(2);
  EXPECT_DOUBLE_EQ(first[2], 0.09649746807200862);
  EXPECT_DOUBLE_EQ(second[0], -1.8634927033644908);
  EXPECT_DOUBLE_EQ(second[1], -0.27738820251439905);
}

TEST(RandomState, DirichletIsNumpys) {
  const std::map<uint32_t, std::vector<double>> expected = {
      {0, {0.21154331321724917, 0.3338261899887495, 0.24539256013237987, 0.20923793666162135}},
      {3, {0.2589411240004297, 0.3984693794055998, 0.11122948719780965, 0.23136000939616086}},
      {99, {0.3131106928522096, 0.1879306919937226, 0.4899908703808414, 0.008967744773226448}},
      {4294967295,
       {0.01831990425903489, 0.43418332341267385, 0.2774861244653563, 0.2700106478629349}},
  };
  for (const auto& [seed, numbers] : expected) {
    const std::vector<double> drawn = RandomState(seed).DirichletOnes(4);
    for (size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(drawn[i], numbers[i]) << seed;
  }
  const std::vector<double> wide = RandomState(17).DirichletOnes(256);
  EXPECT_DOUBLE_EQ(wide.front(), 0.0012791056877630663);
  EXPECT_DOUBLE_EQ(wide.back(), 0.0005320610393152198);
  EXPECT_NEAR(std::accumulate(wide.begin(), wide.end(), 0.0), 1.0, 1e-14);
}

}  // namespace
}  // namespace modlab
