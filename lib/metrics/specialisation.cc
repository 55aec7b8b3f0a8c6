#include "lib/metrics/specialisation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lib/metrics/assignment.h"
#include "lib/rules/numpy_random.h"

namespace modlab {
namespace {

// p_m: how much each module is used.
std::vector<double> ModuleUse(const Activation& activation) {
  std::vector<double> use(static_cast<size_t>(activation.modules), 0.0);
  for (int r = 0; r < activation.rules; ++r) {
    for (int m = 0; m < activation.modules; ++m) {
      use[static_cast<size_t>(m)] += activation.at(r, m);
    }
  }
  return use;
}

}  // namespace

Activation UniformActivation(int rules, int modules) {
  const auto cells = static_cast<size_t>(rules) * static_cast<size_t>(modules);
  return {rules, modules, std::vector<double>(cells, 1.0 / static_cast<double>(cells))};
}

double CollapseAvg(const Activation& activation) {
  const double modules = activation.modules;
  double missing = 0.0;
  for (const double use : ModuleUse(activation)) missing += std::max(0.0, 1.0 / modules - use);
  return modules / (modules - 1.0) * missing;
}

double CollapseWorst(const Activation& activation) {
  const std::vector<double> use = ModuleUse(activation);
  return 1.0 - activation.modules * *std::min_element(use.begin(), use.end());
}

double Alignment(const Activation& activation) {
  for (const double p : activation.p) {
    if (!std::isfinite(p)) return std::nan("");  // there is no best assignment
  }
  const std::vector<int> module_of = MaximumAssignment(activation.p, activation.rules);
  const double rules = activation.rules;
  double distance = 0.0;
  for (int r = 0; r < activation.rules; ++r) {
    for (int m = 0; m < activation.modules; ++m) {
      const double permutation = module_of[static_cast<size_t>(r)] == m ? 1.0 : 0.0;
      distance += std::abs(permutation - rules * activation.at(r, m));
    }
  }
  return distance / (2.0 * rules);
}

double InverseMutualInformation(const Activation& activation) {
  constexpr double kEpsilon = 1e-8;  // keeps log and quotient finite where P is 0
  const std::vector<double> module_use = ModuleUse(activation);
  double information = 0.0;
  for (int r = 0; r < activation.rules; ++r) {
    double rule_use = 0.0;
    for (int m = 0; m < activation.modules; ++m) rule_use += activation.at(r, m);
    for (int m = 0; m < activation.modules; ++m) {
      const double p = activation.at(r, m);
      const double independent = rule_use * module_use[static_cast<size_t>(m)];
      information += p * std::log(p / (independent + kEpsilon) + kEpsilon);
    }
  }
  const double most = std::log(static_cast<double>(activation.rules));
  return (most - information) / most;
}

std::vector<std::vector<double>> AdaptationDraws(int rules, int draws) {
  std::vector<std::vector<double>> distributions;
  for (int k = 0; k < draws; ++k) {
    distributions.push_back(RandomState(static_cast<uint32_t>(k)).DirichletOnes(rules));
  }
  return distributions;
}

double AdaptationDistance(std::vector<double> rule_probabilities, std::vector<double> activations) {
  std::sort(rule_probabilities.begin(), rule_probabilities.end());
  std::sort(activations.begin(), activations.end());
  double distance = 0.0;
  for (size_t i = 0; i < activations.size(); ++i) {
    distance += std::abs(rule_probabilities[i] - activations[i]);
  }
  return distance / 2.0;
}

double ExpectedAdaptation(const Activation& activation,
                          const std::vector<std::vector<double>>& draws) {
  double total = 0.0;
  for (const std::vector<double>& draw : draws) {
    std::vector<double> use(static_cast<size_t>(activation.modules), 0.0);
    for (int r = 0; r < activation.rules; ++r) {
      for (int m = 0; m < activation.modules; ++m) {
        use[static_cast<size_t>(m)] +=
            draw[static_cast<size_t>(r)] * activation.rules * activation.at(r, m);
      }
    }
    total += AdaptationDistance(draw, std::move(use));
  }
  return total / static_cast<double>(draws.size());
}

}  // namespace modlab
