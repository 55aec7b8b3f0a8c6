#include "tests/e2e/cluster.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/e2e/process.h"

namespace modlab::e2e {
namespace {

constexpr char kReady[] = "modlabd ready at ";

// Columns of an exported row that two runs of one experiment need not share.
constexpr const char* kCircumstances[] = {"job",      "replicate",    "attempt",
                                          "worker",   "created",      "started",
                                          "finished", "wall_seconds", "iterations_per_second"};

}  // namespace

std::string ModlabPath() { return MODLAB_PATH; }
std::string ModlabdPath() { return MODLABD_PATH; }
std::string WorkerPath() { return MODLAB_WORKER_PATH; }

Cluster::Cluster() : dir_(testing::TempDir() + "modlab-e2e-XXXXXX") {
  if (mkdtemp(dir_.data()) == nullptr) ADD_FAILURE() << "cannot make " << dir_;
  address_ = "unix:" + dir_ + "/modlabd.sock";
}

Cluster::~Cluster() {
  processes_.clear();
  if (testing::Test::HasFailure()) {
    for (const std::string& log : logs_) {
      std::printf("---- %s\n%s", log.c_str(), ReadFile(log).c_str());
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

Process* Cluster::StartCoordinator(int lease_seconds, const std::vector<std::string>& extra) {
  const std::string log = absl::StrCat(dir_, "/modlabd-", ++coordinators_, ".log");
  std::vector<std::string> argv = {ModlabdPath(),
                                   "--data-dir",
                                   data_dir(),
                                   "--listen",
                                   address_,
                                   "--lease-seconds",
                                   absl::StrCat(lease_seconds)};
  argv.insert(argv.end(), extra.begin(), extra.end());
  Process* process = &processes_.emplace_back(std::move(argv), log, log);
  logs_.push_back(log);
  std::string text;
  WaitUntil([&] {
    text = ReadFile(log);
    const size_t at = text.find(kReady);
    return (at != std::string::npos && text.find('\n', at) != std::string::npos) ||
           !process->running();
  });
  const size_t at = text.find(kReady);
  if (at == std::string::npos) {
    ADD_FAILURE() << "modlabd did not become ready:\n" << text;
    return process;
  }
  const size_t from = at + sizeof(kReady) - 1;
  address_ = text.substr(from, text.find_first_of(" \n", from) - from);
  return process;
}

Process* Cluster::StartWorker(int gang, const std::vector<std::string>& extra,
                              const std::string& address) {
  const std::string name = absl::StrCat("worker-", ++workers_);
  const std::string log = absl::StrCat(dir_, "/", name, ".log");
  std::vector<std::string> argv = {WorkerPath(), "--server", address.empty() ? address_ : address,
                                   "--device",   "cpu",      "--slots",
                                   "1",          "--gang",   absl::StrCat(gang),
                                   "--name",     name};
  argv.insert(argv.end(), extra.begin(), extra.end());
  logs_.push_back(log);
  return &processes_.emplace_back(std::move(argv), log, log);
}

Output Cluster::Modlab(std::vector<std::string> args, absl::Duration patience) {
  args.insert(args.end(), {"--server", address_});
  return ModlabAlone(std::move(args), patience);
}

Output Cluster::ModlabAlone(std::vector<std::string> args, absl::Duration patience) {
  args.insert(args.begin(), ModlabPath());
  return RunToEnd(std::move(args), absl::StrCat(dir_, "/command-", ++runs_), patience);
}

Json Cluster::Rows(std::vector<std::string> args) {
  args.insert(args.end(), {"--format", "json"});
  const std::string command = absl::StrJoin(args, " ");
  const Output output = Modlab(std::move(args));
  EXPECT_EQ(output.exit_code, 0) << "modlab " << command << "\n" << output.err;
  Json rows = Json::parse(output.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(rows.is_array()) << "modlab " << command << "\n" << output.out;
  return rows.is_array() ? rows : Json::array();
}

Json Cluster::Row(std::vector<std::string> args) {
  const std::string command = absl::StrJoin(args, " ");
  Json rows = Rows(std::move(args));
  EXPECT_FALSE(rows.empty()) << "modlab " << command;
  return rows.empty() ? Json::object() : rows[0];
}

std::string Cluster::Write(const std::string& name, const std::string& text) {
  const std::string path = absl::StrCat(dir_, "/", name);
  WriteFile(path, text);
  return path;
}

std::string Cluster::Submit(const std::string& yaml, const std::vector<std::string>& extra) {
  std::vector<std::string> args = {"submit", Write("sweep.yaml", yaml)};
  args.insert(args.end(), extra.begin(), extra.end());
  const Output output = Modlab(std::move(args));
  EXPECT_EQ(output.exit_code, 0) << "modlab submit\n" << output.err;
  submitted_ = output.out;
  // "quickstart-1: 96 jobs at ..."
  return output.out.substr(0, output.out.find(':'));
}

Json Cluster::Sweep(const std::string& sweep) { return Row({"show", sweep}); }

bool Cluster::WaitForSweep(const std::string& sweep,
                           const std::function<bool(const Json&)>& condition,
                           absl::Duration patience) {
  return WaitUntil(
      [&] {
        // Each look is a process: leave the machine to those under test.
        absl::SleepFor(absl::Milliseconds(50));
        return condition(Sweep(sweep));
      },
      patience);
}

Json Cluster::WaitForEnd(const std::string& sweep, absl::Duration patience) {
  Json row = Json::object();
  EXPECT_TRUE(WaitForSweep(
      sweep,
      [&row](const Json& seen) {
        row = seen;
        return row.value("queued", 1) == 0 && row.value("running", 1) == 0;
      },
      patience))
      << "the sweep does not end: " << row.dump();
  return row;
}

std::map<std::string, Json> Science(const Json& exported) {
  std::map<std::string, Json> science;
  for (Json row : exported) {
    for (const char* column : kCircumstances) row.erase(column);
    const std::string key = row.value("job_key", "");
    EXPECT_TRUE(science.emplace(key, std::move(row)).second) << "two rows of job " << key;
  }
  return science;
}

std::vector<std::string> Keys(const Json& row) {
  std::vector<std::string> keys;
  for (const auto& item : row.items()) keys.push_back(item.key());
  return keys;
}

}  // namespace modlab::e2e
