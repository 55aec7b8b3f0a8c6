#include "tests/sim/rounds.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "spdlog/spdlog.h"
#include "tests/sim/installation.h"

namespace modlab {
namespace sim {

namespace {

using Clock = std::chrono::steady_clock;
using Sums = std::map<std::string, int64_t>;

constexpr int kFailuresShown = 10;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The child's part: seeds first + share, first + share + processes, ...
void RunShare(const RoundOptions& options, int share, int processes, FILE* out) {
  const Clock::time_point start = Clock::now();
  Sums sums;
  for (int64_t i = share; i < options.runs; i += processes) {
    if (options.seconds > 0 && SecondsSince(start) > options.seconds) break;
    const Outcome outcome = RunSeed(options.first_seed + static_cast<uint64_t>(i));
    ++sums["runs"];
    sums["steps"] += outcome.steps;
    sums["jobs"] += outcome.jobs;
    sums["simulated minutes"] += outcome.simulated_us / 60'000'000;
    for (const auto& [name, count] : outcome.counts) sums[name] += count;
    if (outcome.wrong.empty()) continue;
    ++sums["FAILED"];
    std::string line = outcome.wrong;
    std::replace(line.begin(), line.end(), '\n', ' ');
    std::fprintf(out, "! seed %llu: %s\n", static_cast<unsigned long long>(outcome.seed),
                 line.c_str());
    std::fflush(out);
  }
  for (const auto& [name, count] : sums) {
    std::fprintf(out, "%lld %s\n", static_cast<long long>(count), name.c_str());
  }
  std::fflush(out);
}

}  // namespace

bool RunRounds(const RoundOptions& options) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int processes = options.processes > 0 ? options.processes : cores;
  const Clock::time_point start = Clock::now();
  // Processes, since SQLite has one source of chance in each.
  std::vector<FILE*> pipes;
  for (int share = 0; share < processes; ++share) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    std::cout.flush();
    const pid_t pid = fork();
    if (pid < 0) std::abort();
    if (pid == 0) {
      close(ends[0]);
      FILE* const out = fdopen(ends[1], "w");
      RunShare(options, share, processes, out);
      std::_Exit(0);
    }
    close(ends[1]);
    pipes.push_back(fdopen(ends[0], "r"));
  }
  Sums sums;
  int failures = 0;
  bool complete = true;
  for (FILE* const pipe_end : pipes) {
    char* text = nullptr;
    size_t size = 0;
    bool said_something = false;
    while (getline(&text, &size, pipe_end) > 0) {
      const std::string line(text);
      if (line[0] == '!') {
        if (++failures <= kFailuresShown) std::cout << "FAILED" << line.substr(1) << std::flush;
        continue;
      }
      said_something = true;
      std::istringstream words(line);
      int64_t count = 0;
      std::string name;
      words >> count >> std::ws;
      std::getline(words, name);
      sums[name] += count;
    }
    std::free(text);
    std::fclose(pipe_end);
    complete = complete && said_something;
  }
  int status = 0;
  while (wait(&status) > 0) complete = complete && WIFEXITED(status);
  std::cout << sums["runs"] << " runs, " << sums["FAILED"] << " failed, in "
            << static_cast<int64_t>(SecondsSince(start)) << " s\n";
  for (const auto& [name, count] : sums) {
    if (name != "runs" && name != "FAILED") std::cout << "  " << name << ": " << count << "\n";
  }
  if (!complete) std::cout << "a process ended before its time\n";
  if (failures > 0) std::cout << "again, with all that happened: ./x sim --seed N --trace\n";
  return complete && failures == 0;
}

bool RunOne(uint64_t seed, bool trace) {
  if (trace) {
    spdlog::set_level(spdlog::level::info);
    spdlog::set_pattern("    %l: %v");
  }
  const Outcome outcome =
      trace ? RunSeed(seed, {}, [](const std::string& line) { std::cout << line << "\n"; })
            : RunSeed(seed);
  std::cout << "seed " << seed << ": " << (outcome.wrong.empty() ? "passed" : outcome.wrong)
            << "\n  steps: " << outcome.steps
            << "\n  simulated seconds: " << outcome.simulated_us / 1'000'000
            << "\n  jobs: " << outcome.jobs << "\n";
  for (const auto& [name, count] : outcome.counts)
    std::cout << "  " << name << ": " << count << "\n";
  return outcome.wrong.empty();
}

}  // namespace sim
}  // namespace modlab
