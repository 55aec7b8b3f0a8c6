// LSTM cells of which each sample's step needs one alone. (section 2, RNN, GT-Modular)

#ifndef MODLAB_LIB_MODELS_LSTM_SORTED_H_
#define MODLAB_LIB_MODELS_LSTM_SORTED_H_

#include <ATen/ATen.h>

#include "lib/models/lstm.h"

namespace modlab {

// LstmOutput::hidden of an input that is one_hot, on the CPU. At every step the samples
// are sorted by their module, and each module computes its own. Differentiable once by
// input and weight. Each job is computed alone. Thread-safe.
at::Tensor SortedLstm(const LstmInput& input);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_LSTM_SORTED_H_
