// What all tasks draw alike: the real-valued inputs and the rules of their tokens.

#ifndef MODLAB_LIB_RULES_TOKEN_DRAW_H_
#define MODLAB_LIB_RULES_TOKEN_DRAW_H_

#include <cstdint>

#include "lib/rules/task.h"

namespace modlab {

// Fills buffers.input, [inputs, T], with standard normal numbers times the
// request's scale, and buffers.rule, [T], with rules of 0..rules - 1. Input c of a
// stream's block has lane c, and the rules have lane `inputs`; so the first tokens
// of a longer sequence are those of a shorter one. Thread-safe.
void DrawTokens(const SampleRequest& request, int64_t inputs, int32_t rules,
                const SampleBuffers& buffers);

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_TOKEN_DRAW_H_
