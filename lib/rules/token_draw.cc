#include "lib/rules/token_draw.h"

#include <cstdint>

#include "lib/rules/random_stream.h"
#include "lib/rules/task.h"

namespace modlab {

void DrawTokens(const SampleRequest& request, int64_t inputs, int32_t rules,
                const SampleBuffers& buffers) {
  const int64_t tokens = request.length * request.samples;
  for (int64_t c = 0; c < inputs; ++c) {
    float* row = buffers.input + c * tokens;
    FillNormal(request.key, request.block, static_cast<uint32_t>(c), tokens, row);
    for (int64_t i = 0; i < tokens; ++i) row[i] *= request.scale;
  }
  const auto lane = static_cast<uint32_t>(inputs);
  if (request.rule_weights != nullptr) {
    FillWeightedIndex(request.key, request.block, lane, request.rule_weights->data(), rules, tokens,
                      buffers.rule);
  } else {
    FillIndex(request.key, request.block, lane, rules, tokens, buffers.rule);
  }
}

}  // namespace modlab
