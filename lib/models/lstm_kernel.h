// One step of LSTM cells that share a hidden and a cell state, forwards and
// backwards, for one job: all that happens between two products of matrices.
// (section 2, RNN)
//
// Every array is a matrix with a row of B samples per feature, rows one after the
// other; B must be a multiple of kLstmSamples. Samples are independent: columns of
// zeros get zeros for gradients, so a batch is padded with them.
//
// Pure, thread-safe. Nothing is aligned; arrays must not overlap.

#ifndef MODLAB_LIB_MODELS_LSTM_KERNEL_H_
#define MODLAB_LIB_MODELS_LSTM_KERNEL_H_

#include <cstdint>

namespace modlab {

constexpr int64_t kLstmSamples = 16;

struct LstmSizes {
  int64_t modules = 0;  // M
  int64_t hidden = 0;   // h
  int64_t samples = 0;  // B
};

// Before the gates' nonlinearities there are 4 M h rows: module by module, within
// it the gates i, f, o, g, h rows each.
template <typename Real>
struct LstmStep {
  // [4 M h, B]. If the modules are scored, what comes of the input, and
  // from_hidden what comes of the hidden state; if not, their sum.
  const Real* from_input = nullptr;
  const Real* from_hidden = nullptr;
  // [M, 8h] of (from_input, from_hidden) of a module. Null: p is given.
  const Real* score_weight = nullptr;
  const Real* cell_before = nullptr;  // [h, B]
  Real* p = nullptr;                  // [M, B] given, or made from the scores
  Real* hidden = nullptr;             // [h, B] made
  Real* cell = nullptr;               // [h, B] made
};

template <typename Real>
struct LstmStepGradient {
  const Real* hidden = nullptr;  // [h, B] of the loss with respect to LstmStep::hidden
  const Real* cell = nullptr;    // [h, B] to LstmStep::cell
  Real* cell_before = nullptr;   // [h, B] made
  Real* from_input = nullptr;    // [4 M h, B] made; to both if the modules are not scored
  Real* from_hidden = nullptr;   // [4 M h, B] made if they are
  Real* p = nullptr;             // [M, B] made: to p if it is given, to the scores if not
  // [M, 8h, kLstmSamples] added to, if there is one: its gradient in as many parts as
  // samples are taken side by side, to be added up at last.
  Real* score_weight = nullptr;
};

// Makes p (unless given), hidden and cell.
void LstmForward(const LstmSizes& sizes, const LstmStep<float>& step);
void LstmForward(const LstmSizes& sizes, const LstmStep<double>& step);

// The gates are computed again: that is as quick as to write and read them. Of
// `step`, hidden and cell are not looked at.
void LstmBackward(const LstmSizes& sizes, const LstmStep<float>& step,
                  const LstmStepGradient<float>& gradient);
void LstmBackward(const LstmSizes& sizes, const LstmStep<double>& step,
                  const LstmStepGradient<double>& gradient);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_LSTM_KERNEL_H_
