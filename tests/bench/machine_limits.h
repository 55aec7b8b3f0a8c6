// What the machine itself allows, measured beside the coordinator: the bounds that its
// figures are to be compared with.

#ifndef MODLAB_TESTS_BENCH_MACHINE_LIMITS_H_
#define MODLAB_TESTS_BENCH_MACHINE_LIMITS_H_

#include <string>

namespace modlab::bench {

struct MachineLimits {
  double commits_per_second = 0;  // of one small row each, by SQLite, durable
  double rows_per_second = 0;     // small rows, by SQLite, in transactions of 1,000, durable
  double echoes_per_second = 0;   // the smallest gRPC calls, many at a time, to the server
};

// Works in `directory`, about a second each. `address` is a server with gRPC's health
// service.
MachineLimits MeasureMachine(const std::string& directory, const std::string& address);

}  // namespace modlab::bench

#endif  // MODLAB_TESTS_BENCH_MACHINE_LIMITS_H_
