// LSTM cells that share one hidden and one cell state, over the steps of a batch.
// (section 2, RNN)

#ifndef MODLAB_LIB_MODELS_LSTM_H_
#define MODLAB_LIB_MODELS_LSTM_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace modlab {

// J jobs, M cells of h units, E inputs, N steps of B samples, T = N B columns as in
// Batch.
struct LstmInput {
  at::Tensor input;  // [J, E, T]
  // [J, 4 M h, E + h]: the gates' weights of input and hidden state; rows module by
  // module, within it the gates i, f, o, g, h rows each. A bias is a row of ones in
  // `input`.
  at::Tensor weight;
  // Scored: [J, M, 8h], each module's weights of what its gates get from the input,
  // then from the hidden state. Otherwise p, [J, M, T].
  at::Tensor routing;
  bool scored = false;
  // p is one-hot and not scored: nothing differentiates through it, and only the cell that
  // it names is computed.
  bool one_hot = false;
  int64_t length = 1;  // N
};

struct LstmOutput {
  at::Tensor hidden;  // [J, h, T]
  at::Tensor p;       // [J, M, T]; nothing differentiates through it if scored
};

// The states before the first step are zeros. Differentiable once with respect to
// all three tensors. Each job is computed alone. Thread-safe.
//
// On the CPU by own kernels, which need a fraction of the time and of the memory;
// elsewhere composed of LibTorch's operations.
LstmOutput Lstm(const LstmInput& input);

// The same on any device.
LstmOutput ComposedLstm(const LstmInput& input);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_LSTM_H_
