// A coordinator, workers and the command line, as users run them: the real
// binaries in processes of their own, in a directory that is removed afterwards.

#ifndef MODLAB_TESTS_E2E_CLUSTER_H_
#define MODLAB_TESTS_E2E_CLUSTER_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/e2e/process.h"

namespace modlab::e2e {

using Json = nlohmann::ordered_json;

// Programs under test.
std::string ModlabPath();
std::string ModlabdPath();
std::string WorkerPath();

class Cluster {
 public:
  Cluster();
  // Kills everything; shows the logs if the test failed.
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  const std::string& dir() const { return dir_; }
  std::string data_dir() const { return dir_ + "/data"; }

  // Where the coordinator listens; a Unix socket unless set before it starts.
  const std::string& address() const { return address_; }
  void set_address(const std::string& address) { address_ = address; }

  // Starts modlabd on data_dir() and waits until it is ready; a test failure if
  // it is not. A lease of 2 s is long enough for a loaded machine, and short
  // enough to wait for. Returns a process that this object owns.
  Process* StartCoordinator(int lease_seconds = 2, const std::vector<std::string>& extra = {});
  // One slot on the CPU; gangs of at most `gang` jobs. `address`: where it finds the
  // coordinator, if not at address().
  Process* StartWorker(int gang, const std::vector<std::string>& extra = {},
                       const std::string& address = "");

  // Runs modlab against this coordinator.
  Output Modlab(std::vector<std::string> args, absl::Duration patience = kPatience);
  // The same with nothing added.
  Output ModlabAlone(std::vector<std::string> args, absl::Duration patience = kPatience);
  // The rows of a command that must succeed, read as json.
  Json Rows(std::vector<std::string> args);
  // Its first row; an empty object, and a test failure, if there is none.
  Json Row(std::vector<std::string> args);

  // Writes a file in dir() and returns its path.
  std::string Write(const std::string& name, const std::string& text);
  // Submits a sweep file's text; returns the sweep's id.
  std::string Submit(const std::string& yaml, const std::vector<std::string>& extra = {});
  // What the last Submit() printed.
  const std::string& submitted() const { return submitted_; }
  // The sweep as `modlab show` has it.
  Json Sweep(const std::string& sweep);
  // Waits until no job of the sweep is queued or running; returns Sweep().
  Json WaitForEnd(const std::string& sweep, absl::Duration patience = kPatience);
  // Polls Sweep() until `condition` holds; false if it did not come about.
  bool WaitForSweep(const std::string& sweep, const std::function<bool(const Json&)>& condition,
                    absl::Duration patience = kPatience);

 private:
  std::string Scratch();

  std::string dir_;
  std::string address_;
  std::string submitted_;
  int runs_ = 0;
  int workers_ = 0;
  int coordinators_ = 0;
  std::list<Process> processes_;
  std::vector<std::string> logs_;
};

// Exported rows by job key, less what may differ between two runs of the same
// sweep: ids, times, speed, the worker's name, how often it was tried.
std::map<std::string, Json> Science(const Json& exported);

// Names of a row's columns, in their order.
std::vector<std::string> Keys(const Json& row);

}  // namespace modlab::e2e

#endif  // MODLAB_TESTS_E2E_CLUSTER_H_
