#include "lib/train/sampler.h"

#include <algorithm>
#include <utility>

namespace modlab {

Sampler::Sampler(const std::vector<v1::JobConfig>& configs, const at::Device& device)
    : rules_(configs.front().rules()),
      labels_(configs.front().target() == v1::CLASSIFICATION),
      device_(device) {
  for (const v1::JobConfig& config : configs) {
    const auto data_seed = static_cast<uint32_t>(config.data_seed());
    members_.push_back({MlpTask(config.rules(), data_seed), data_seed,
                        static_cast<uint32_t>(config.model_seed())});
  }
}

MlpBatch Sampler::Sample(const Draw& draw) {
  const auto jobs = static_cast<int64_t>(members_.size());
  const int64_t samples = draw.samples;
  if (!target_.defined() || target_.size(0) != jobs || target_.size(1) != samples) {
    const auto options = at::TensorOptions().dtype(at::kFloat).pinned_memory(device_.is_cuda());
    digits_ = at::empty({jobs, 2, samples}, options);
    rule_ = at::empty({jobs, samples, rules_}, options);
    target_ = at::empty({jobs, samples}, options);
    rule_index_.resize(samples);
  }
  rule_.zero_();
  for (int64_t j = 0; j < jobs; ++j) {
    const Member& member = members_[j];
    float* digits = digits_.data_ptr<float>() + j * 2 * samples;
    float* rule = rule_.data_ptr<float>() + j * samples * rules_;
    float* target = target_.data_ptr<float>() + j * samples;
    member.task.Sample({draw.purpose, member.data_seed, member.model_seed}, draw.block, draw.scale,
                       draw.rule_weights, samples,
                       {digits, digits + samples, rule_index_.data(), target});
    for (int64_t b = 0; b < samples; ++b) rule[b * rules_ + rule_index_[b]] = 1.0F;
    if (labels_) {
      std::transform(target, target + samples, target,
                     [](float y) { return y >= 0.0F ? 1.0F : 0.0F; });
    }
  }
  if (device_.is_cpu()) return {digits_, rule_, target_};
  return {digits_.to(device_), rule_.to(device_), target_.to(device_)};
}

void Sampler::SelectJobs(const std::vector<int64_t>& keep) {
  std::vector<Member> kept;
  for (int64_t j : keep) kept.push_back(std::move(members_[j]));
  members_ = std::move(kept);
}

}  // namespace modlab
