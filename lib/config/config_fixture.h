// Configs for tests.

#ifndef MODLAB_LIB_CONFIG_CONFIG_FIXTURE_H_
#define MODLAB_LIB_CONFIG_CONFIG_FIXTURE_H_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"
#include "lib/config/job_config.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// A config of the required fields (MLP, regression, 8 rules) and what `text` sets
// besides or instead.
inline v1::JobConfig Config(const std::string& text = "", v1::ModelType model = v1::MODULAR) {
  v1::JobConfig config;
  config.set_architecture(v1::MLP);
  config.set_target(v1::REGRESSION);
  config.set_rules(8);
  config.set_model(model);
  v1::JobConfig more;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &more)) << text;
  config.MergeFrom(more);
  return config;
}

inline v1::JobConfig Canonical(const v1::JobConfig& config) {
  const auto canonical = Canonicalise(config);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  return canonical.ok() ? *canonical : v1::JobConfig();
}

// The message with which `config` is refused.
inline std::string Error(const v1::JobConfig& config) {
  const absl::Status status = Canonicalise(config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << config.ShortDebugString();
  return std::string(status.message());
}

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_CONFIG_FIXTURE_H_
