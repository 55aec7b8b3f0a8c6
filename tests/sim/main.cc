// `sim`: runs simulated installations. `sim --help` says how.

#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "spdlog/spdlog.h"
#include "tests/sim/rounds.h"

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  CLI::App app("Simulates whole installations of modlab, with everything that can happen to one.",
               "sim");
  modlab::sim::RoundOptions options;
  double minutes = 1.0;
  app.add_option("--minutes", minutes, "how long, on all cores")
      ->check(CLI::Range(0.01, 100'000.0))
      ->capture_default_str();
  app.add_option("--first", options.first_seed, "the first seed")->capture_default_str();
  auto* const runs = app.add_option("--runs", options.runs, "how many seeds, rather than minutes")
                         ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000'000}));
  app.add_option("--jobs", options.processes, "processes; one a core unless given")
      ->check(CLI::Range(1, 1024));
  uint64_t seed = 0;
  auto* const one = app.add_option("--seed", seed, "only this one");
  bool trace = false;
  app.add_flag("--trace", trace, "tell all that happens (with --seed)")->needs(one);
  CLI11_PARSE(app, argc, argv);
  if (!one->empty()) return modlab::sim::RunOne(seed, trace) ? 0 : 1;
  options.seconds = runs->empty() ? minutes * 60 : 0;
  return modlab::sim::RunRounds(options) ? 0 : 1;
}
