// Widths that follow from a config. (section 2) Pure, thread-safe; all need a
// canonical config of their architecture.

#ifndef MODLAB_LIB_CONFIG_WIDTHS_H_
#define MODLAB_LIB_CONFIG_WIDTHS_H_

#include <cstdint>

#include "modlab/v1/job.pb.h"

namespace modlab {

// h of an MHA: A / (H M).
int64_t HeadWidth(const v1::JobConfig& canonical);

// I of an MHA: hidden units of a module's last network, so that all modules together
// have about as many parameters as the MONOLITHIC one; 2e for MONOLITHIC.
int64_t ModuleHiddenWidth(const v1::JobConfig& canonical);

// h of an RNN: the width of hidden and cell state; of modular types, so that they
// have about as many parameters as a MONOLITHIC LSTM of width D.
int64_t CellWidth(const v1::JobConfig& canonical);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_WIDTHS_H_
