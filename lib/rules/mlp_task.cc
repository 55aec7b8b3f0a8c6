#include "lib/rules/mlp_task.h"

#include <cstdint>

#include "lib/rules/task.h"
#include "lib/rules/token_draw.h"

namespace modlab {

void MlpTask::Sample(const SampleRequest& request, const SampleBuffers& buffers) const {
  DrawTokens(request, inputs(), rules_.count(), buffers);
  const int64_t tokens = request.length * request.samples;
  const float* a = buffers.input;
  const float* b = buffers.input + tokens;
  for (int64_t i = 0; i < tokens; ++i) {
    buffers.target[i] = rules_.Target(buffers.rule[i], a[i], b[i]);
  }
}

}  // namespace modlab
