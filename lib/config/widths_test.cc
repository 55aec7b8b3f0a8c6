#include "lib/config/widths.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "lib/config/config_fixture.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

constexpr int kRules[] = {2, 4, 8, 16, 32};

v1::JobConfig Sized(const char* architecture, int rules, int encoder_dim, int model_dim,
                    v1::ModelType model = v1::MODULAR) {
  return Canonical(Config(absl::StrCat("architecture: ", architecture, " rules: ", rules,
                                       " encoder_dim: ", encoder_dim, " model_dim: ", model_dim),
                          model));
}

// The paper's sizes. The widths are those that the formulas of the published code
// give in Python, for 2, 4, 8, 16 and 32 rules.
struct Size {
  int encoder_dim;
  int model_dim;
  int module_hidden[5];
  int cell[5];
};
constexpr Size kSizes[] = {{32, 128, {48, 35, 24, 14, 8}, {91, 62, 41, 26, 15}},
                           {64, 256, {96, 70, 48, 29, 17}, {182, 124, 82, 52, 31}},
                           {128, 512, {192, 140, 96, 59, 34}, {365, 249, 164, 104, 63}},
                           {256, 1024, {384, 281, 192, 119, 68}, {730, 499, 329, 209, 127}},
                           {512, 2048, {768, 563, 384, 238, 136}, {1460, 999, 659, 419, 255}}};

TEST(Widths, AreThePublishedOnes) {
  for (const Size& size : kSizes) {
    for (int i = 0; i < 5; ++i) {
      const v1::JobConfig mha = Sized("MHA", kRules[i], size.encoder_dim, size.model_dim);
      EXPECT_EQ(ModuleHiddenWidth(mha), size.module_hidden[i]) << mha.ShortDebugString();
      const v1::JobConfig rnn = Sized("RNN", kRules[i], size.encoder_dim, size.model_dim);
      EXPECT_EQ(CellWidth(rnn), size.cell[i]) << rnn.ShortDebugString();
    }
  }
}

TEST(Widths, OfTheMonolithicAreItsDims) {
  const v1::JobConfig mha = Sized("MHA", 4, 32, 128, v1::MONOLITHIC);
  EXPECT_EQ(HeadWidth(mha), 128 / 8);  // 2 heads a rule
  EXPECT_EQ(ModuleHiddenWidth(mha), 2 * 32);
  EXPECT_EQ(CellWidth(Sized("RNN", 4, 32, 131, v1::MONOLITHIC)), 131);
}

TEST(Widths, HeadsShareTheAttentionWidth) {
  EXPECT_EQ(HeadWidth(Sized("MHA", 4, 32, 128)), 128 / (2 * 4));
  EXPECT_EQ(HeadWidth(Canonical(Config("architecture: MHA modules: 2 heads: 4 model_dim: 48"))),
            48 / (4 * 2));
}

// Small enough to follow by hand.
TEST(Widths, ByHand) {
  // e 2, A 8, M 2, H 1: 2*2*(2*1*(8+2)+8) / (2*(8*2+2*1*2)) = 112 / 40
  EXPECT_EQ(ModuleHiddenWidth(Canonical(
                Config("architecture: MHA rules: 2 encoder_dim: 2 model_dim: 8 heads: 1"))),
            2);
  // e 1, D 3, M 2: b = 9, a = 9; (sqrt(81 + 36*(45 + 15)) - 9) / 18 = (47.3 - 9) / 18
  EXPECT_EQ(CellWidth(Canonical(Config("architecture: RNN rules: 2 encoder_dim: 1 model_dim: 3"))),
            2);
}

// What the cell's width is for: about as many numbers as the monolithic LSTM, never more.
TEST(Widths, OfCellsMatchTheLstmsParameters) {
  for (const Size& size : kSizes) {
    for (const int rules : kRules) {
      const double D = size.model_dim, e = size.encoder_dim, M = rules;
      const double lstm = 5 * D * D + D * (4 * e + 1);  // with the decoder's first layer
      const auto cells = [&](double h) { return (4 * M + 1) * h * h + (4 * M * e + 1) * h; };
      const auto h =
          static_cast<double>(CellWidth(Sized("RNN", rules, size.encoder_dim, size.model_dim)));
      EXPECT_LE(cells(h), lstm);
      EXPECT_GT(cells(h + 1), lstm);
    }
  }
}

}  // namespace
}  // namespace modlab
