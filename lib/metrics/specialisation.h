// Collapse and specialisation, from the activation matrix P (docs/benchmark.md,
// section 4). P[r][m] is the mean of p_m over samples of rule r, divided by R:
// rows sum to 1/R, the whole to 1.
//
// All functions are pure and thread-safe.

#ifndef MODLAB_LIB_METRICS_SPECIALISATION_H_
#define MODLAB_LIB_METRICS_SPECIALISATION_H_

#include <cstddef>
#include <vector>

namespace modlab {

// Row by row, rules * modules numbers.
struct Activation {
  int rules = 0;
  int modules = 0;
  std::vector<double> p;

  double at(int rule, int module) const { return p[static_cast<size_t>(rule) * modules + module]; }
};

// The uniform matrix: every module equally used under every rule. Its figures
// are what the paper calls Random.
Activation UniformActivation(int rules, int modules);

// M/(M-1) sum_m max(0, 1/M - p_m): 0 all modules used alike, 1 one used alone.
// Needs at least 2 modules.
double CollapseAvg(const Activation& activation);

// 1 - M min_m p_m: 0 all modules used alike, 1 some module never used.
double CollapseWorst(const Activation& activation);

// Distance of R P to the nearest permutation matrix: 0 every rule has a module
// of its own. Needs as many modules as rules. NaN where P has a number that is not finite.
double Alignment(const Activation& activation);

// (log R - MI) / log R: 0 the module tells the rule, 1 it tells nothing.
double InverseMutualInformation(const Activation& activation);

// The rule distributions of Adaptation: RandomState(k).dirichlet(ones(rules)).
std::vector<std::vector<double>> AdaptationDraws(int rules, int draws);

// (1/2) sum |sort(pi) - sort(u)| of a rule distribution and the mean activation
// under it; both sum to 1 and have the same length.
double AdaptationDistance(std::vector<double> rule_probabilities, std::vector<double> activations);

// Adaptation with u_k = sum_r pi_k[r] R P[r][.], the limit of many samples.
// Needs as many modules as rules.
double ExpectedAdaptation(const Activation& activation,
                          const std::vector<std::vector<double>>& draws);

}  // namespace modlab

#endif  // MODLAB_LIB_METRICS_SPECIALISATION_H_
