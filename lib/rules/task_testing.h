// What the tests of tasks share: configs, requests, and samples drawn into memory
// of their own.

#ifndef MODLAB_LIB_RULES_TASK_TESTING_H_
#define MODLAB_LIB_RULES_TASK_TESTING_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/rules/random_stream.h"
#include "lib/rules/task.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// What a task depends on. Version 1, q = 32 and o = 1 where nothing else is set.
inline v1::JobConfig TaskConfig(v1::Architecture architecture, v1::Target target, int rules,
                                uint32_t data_seed = 0) {
  v1::JobConfig config;
  config.set_architecture(architecture);
  config.set_target(target);
  config.set_rules(rules);
  config.set_data_seed(data_seed);
  if (architecture == v1::MHA) config.set_search_version(1);
  if (architecture == v1::RNN) {
    config.set_input_dim(32);
    config.set_order(1);
  }
  return config;
}

inline SampleRequest Request(int64_t samples, int64_t length, float scale = 1.0F) {
  SampleRequest request{{StreamPurpose::kTraining, 11, 3}};
  request.samples = samples;
  request.length = length;
  request.scale = scale;
  return request;
}

// Numbers by name, each with the index of its row and column.
struct Samples {
  int64_t tokens;
  std::vector<float> input;
  std::vector<int32_t> rule;
  std::vector<float> target;

  float in(int64_t row, int64_t column) const { return At(input, row, column); }
  float out(int64_t row, int64_t column) const { return At(target, row, column); }
  int32_t rule_of(int64_t column) const { return rule[static_cast<size_t>(column)]; }

 private:
  float At(const std::vector<float>& numbers, int64_t row, int64_t column) const {
    return numbers[static_cast<size_t>(row * tokens + column)];
  }
};

inline Samples DrawSamples(const Task& task, const SampleRequest& request) {
  const int64_t tokens = request.length * request.samples;
  Samples samples{tokens, {}, {}, {}};
  samples.input.resize(static_cast<size_t>(task.inputs() * tokens));
  samples.rule.resize(static_cast<size_t>(tokens));
  samples.target.resize(static_cast<size_t>(task.targets() * tokens));
  task.Sample(request, {samples.input.data(), samples.rule.data(), samples.target.data()});
  return samples;
}

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_TASK_TESTING_H_
