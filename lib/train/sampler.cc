#include "lib/train/sampler.h"

#include <cstddef>
#include <utility>

namespace modlab {

Sampler::Sampler(const std::vector<v1::JobConfig>& configs, const at::Device& device)
    : rules_(configs.front().rules()), device_(device) {
  for (const v1::JobConfig& config : configs) {
    members_.push_back({MakeTask(config), static_cast<uint32_t>(config.data_seed()),
                        static_cast<uint32_t>(config.model_seed())});
  }
}

Batch Sampler::Sample(const Draw& draw) {
  const auto jobs = static_cast<int64_t>(members_.size());
  const int64_t columns = draw.samples * draw.length;
  const int64_t inputs = members_.front().task->inputs();
  const int64_t targets = members_.front().task->targets();
  if (!target_.defined() || target_.size(0) != jobs || target_.size(2) != columns) {
    const auto options = at::TensorOptions().dtype(at::kFloat).pinned_memory(device_.is_cuda());
    input_ = at::empty({jobs, inputs, columns}, options);
    rule_ = at::empty({jobs, rules_, columns}, options);
    target_ = at::empty({jobs, targets, columns}, options);
    rule_index_.resize(static_cast<size_t>(columns));
  }
  rule_.zero_();
  for (int64_t j = 0; j < jobs; ++j) {
    const Member& member = members_[static_cast<size_t>(j)];
    member.task->Sample({{draw.purpose, member.data_seed, member.model_seed},
                         draw.block,
                         draw.samples,
                         draw.length,
                         draw.scale,
                         draw.rule_weights},
                        {input_.data_ptr<float>() + j * inputs * columns, rule_index_.data(),
                         target_.data_ptr<float>() + j * targets * columns});
    float* rule = rule_.data_ptr<float>() + j * rules_ * columns;
    for (int64_t t = 0; t < columns; ++t) {
      rule[rule_index_[static_cast<size_t>(t)] * columns + t] = 1.0F;
    }
  }
  if (device_.is_cpu()) return {input_, rule_, target_, draw.length};
  return {input_.to(device_), rule_.to(device_), target_.to(device_), draw.length};
}

Sampler Sampler::Jobs(int64_t first, int64_t jobs) const {
  Sampler some = *this;
  some.members_ = {members_.begin() + first, members_.begin() + first + jobs};
  some.target_ = at::Tensor();
  return some;
}

void Sampler::SelectJobs(const std::vector<int64_t>& keep) {
  std::vector<Member> kept;
  for (const int64_t j : keep) kept.push_back(members_[static_cast<size_t>(j)]);
  members_ = std::move(kept);
}

}  // namespace modlab
