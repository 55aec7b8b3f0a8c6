#include "lib/config/relations.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/widths.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using v1::JobConfig;

constexpr int64_t kPointsMax = 100'000;
constexpr int64_t kNumbersMax = 1'000'000'000;
constexpr int64_t kModelDimMax = 65536;

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckModel(const JobConfig& config) {
  const std::string model = v1::ModelType_Name(config.model());
  const int modules = config.modules();
  if (config.model() == v1::MONOLITHIC && modules != 1) {
    return Invalid("modules: ", modules, " is not allowed for model = MONOLITHIC; allowed: 1");
  }
  if (config.model() == v1::GT_MODULAR && modules != config.rules()) {
    return Invalid("modules: ", modules,
                   " is not allowed for model = GT_MODULAR; allowed: ", config.rules(),
                   " (= rules)");
  }
  if (config.model() != v1::MONOLITHIC && modules < 2) {
    return Invalid("modules: ", modules, " is not allowed for model = ", model,
                   "; allowed: 2..256");
  }
  if (config.has_scorer() && config.model() != v1::MODULAR) {
    return Invalid("scorer: ", v1::Scorer_Name(config.scorer()),
                   " is not allowed for model = ", model, "; allowed: none (only for MODULAR)");
  }
  return absl::OkStatus();
}

// `parts`: the number of equal parts of model_dim; `name`: what they are.
absl::Status CheckDivisible(const JobConfig& config, int64_t parts, absl::string_view name) {
  const int64_t d = config.model_dim();
  if (d % parts == 0) return absl::OkStatus();
  const int64_t above = (d / parts + 1) * parts;
  const int64_t example = above <= kModelDimMax ? above : d / parts * parts;
  return Invalid("model_dim: ", d, " is not divisible by ", name, " = ", parts, "; allowed: ",
                 example > 0 ? absl::StrCat("a multiple of it, such as ", example)
                             : absl::StrCat("none, for a multiple of it is above ", kModelDimMax));
}

// `numbers`: about how many a model has; `formula`: how that was reckoned.
absl::Status CheckSize(const JobConfig& config, int64_t numbers, absl::string_view formula) {
  if (numbers <= kNumbersMax) return absl::OkStatus();
  const std::string heads =
      config.has_heads() ? absl::StrCat(", heads = ", config.heads()) : std::string();
  return Invalid("model_dim: ", config.model_dim(), " with encoder_dim = ", config.encoder_dim(),
                 heads, " and modules = ", config.modules(), " makes about ", numbers,
                 " parameters (", formula, "); allowed: at most ", kNumbersMax);
}

absl::Status CheckMlp(const JobConfig& config) {
  const int64_t D = config.model_dim(), e = config.encoder_dim(), M = config.modules();
  if (auto status = CheckDivisible(config, M, "modules"); !status.ok()) return status;
  return CheckSize(config, D * D + 4 * D * e + 2 * e * e + D * M,
                   "model_dim^2 + 4 model_dim encoder_dim + 2 encoder_dim^2 + model_dim modules");
}

absl::Status CheckMha(const JobConfig& config) {
  const int64_t A = config.model_dim(), e = config.encoder_dim();
  const int64_t M = config.modules(), H = config.heads();
  if (auto status = CheckDivisible(config, M * H, "modules * heads"); !status.ok()) return status;
  const int64_t I = ModuleHiddenWidth(config);
  if (I < 1) {
    return Invalid("encoder_dim: ", e, " with model_dim = ", A, ", heads = ", H,
                   " and modules = ", M,
                   " leaves a module no hidden unit; allowed: a larger encoder_dim");
  }
  const int64_t input = (config.search_version() == 1 ? 5 : 7) * config.rules();
  return CheckSize(config, 3 * A * e + A / H * e + (A + A / H + M * e) * I + (2 * e + input) * e,
                   absl::StrCat("A e (3 + 1/H) + (A + A/H + M e) I + 2 e^2 + n e for A = "
                                "model_dim, e = encoder_dim, M = modules, H = heads, I = ",
                                I, " hidden units a module, n = ", input, " inputs"));
}

absl::Status CheckRnn(const JobConfig& config) {
  const int64_t D = config.model_dim(), e = config.encoder_dim(), M = config.modules();
  const int64_t q = config.input_dim(), R = config.rules();
  const int64_t h = CellWidth(config);
  if (h < 1) {
    return Invalid("model_dim: ", D, " with encoder_dim = ", e, " and modules = ", M,
                   " leaves a cell no hidden unit; allowed: a larger model_dim");
  }
  const int64_t task = R * (int64_t{config.order()} + 1) * q * q;
  if (task > kNumbersMax) {
    return Invalid("input_dim: ", q, " with order = ", config.order(), " and rules = ", R,
                   " makes a task of ", task,
                   " coefficients (rules (order + 1) input_dim^2); allowed: at most ", kNumbersMax);
  }
  return CheckSize(config, 4 * M * h * (e + h + 2) + h * (h + q) + e * (e + q + R),
                   absl::StrCat("4 M h (e + h + 2) + h (h + q) + e (e + q + R) for h = ", h,
                                " units a cell, e = encoder_dim, M = modules, q = input_dim, "
                                "R = rules"));
}

absl::Status CheckWidths(const JobConfig& config) {
  switch (config.architecture()) {
    case v1::MHA:
      return CheckMha(config);
    case v1::RNN:
      return CheckRnn(config);
    default:
      return CheckMlp(config);
  }
}

absl::Status CheckTraining(const JobConfig& config) {
  if (config.has_halve_learning_rate_times() && config.halve_learning_rate_every() == 0) {
    return Invalid("halve_learning_rate_times: ", config.halve_learning_rate_times(),
                   " is not allowed for halve_learning_rate_every = 0; allowed: none (only where "
                   "that is above 0)");
  }
  const int64_t points = 2 + (config.iterations() - 1) / config.eval_interval();
  if (points > kPointsMax) {
    return Invalid("eval_interval: ", config.eval_interval(), " makes ", points,
                   " evaluations in iterations = ", config.iterations(), "; allowed: at most ",
                   kPointsMax, " evaluations");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRelations(const JobConfig& config) {
  if (auto status = CheckModel(config); !status.ok()) return status;
  if (auto status = CheckWidths(config); !status.ok()) return status;
  return CheckTraining(config);
}

}  // namespace modlab
