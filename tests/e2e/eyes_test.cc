// What the coordinator tells of itself: metrics, health, `top`, events, logs.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;

// Runs until it is cancelled.
std::string Endless(const std::string& name) {
  return SmallSweep(name, "{model: modular, rules: 2, iterations: 10000000, eval_interval: 1000}");
}

// The port that modlabd's log names; 0 if it does not.
int MetricsPort(const Cluster& cluster) {
  const std::string log = ReadFile(cluster.dir() + "/modlabd-1.log");
  const std::string mark = "http://127.0.0.1:";
  const size_t at = log.find(mark);
  int port = 0;
  if (at == std::string::npos) return 0;
  const std::string rest = log.substr(at + mark.size());
  return absl::SimpleAtoi(rest.substr(0, rest.find('/')), &port) ? port : 0;
}

// The whole answer to a GET, by nothing but a socket.
std::string Get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const timeval patience = {20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic = {};
  std::memcpy(&generic, &address, sizeof(address));
  std::string answer;
  if (connect(fd, &generic, sizeof(generic)) == 0) {
    const std::string request =
        absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
      char buffer[4096];
      ssize_t size = 0;
      while ((size = read(fd, buffer, sizeof(buffer))) > 0) {
        answer.append(buffer, static_cast<size_t>(size));
      }
    }
  }
  close(fd);
  return answer;
}

// Series and their values.
std::map<std::string, double> Scrape(int port) {
  const std::string answer = Get(port, "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  std::map<std::string, double> series;
  const std::vector<std::string> lines = absl::StrSplit(answer, '\n');
  for (const std::string& line : lines) {
    double value = 0;
    const size_t space = line.rfind(' ');
    if (!absl::StartsWith(line, "modlab_") || space == std::string::npos) continue;
    EXPECT_TRUE(absl::SimpleAtod(line.substr(space + 1), &value)) << line;
    series[line.substr(0, space)] = value;
  }
  return series;
}

TEST(EyesTest, PrometheusSeesWhatHappens) {
  Cluster cluster;
  cluster.StartCoordinator(2, {"--metrics", "127.0.0.1:0"});
  const int port = MetricsPort(cluster);
  ASSERT_GT(port, 0);
  EXPECT_THAT(Get(port, "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(port, "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(Scrape(port)["modlab_jobs_finished_total"], 0);

  cluster.StartWorker(/*gang=*/4);
  const std::string done =
      cluster.Submit(SmallSweep("done", "{model: modular, rules: 2, model_seed: [1, 2, 3]}"));
  cluster.WaitForEnd(done);
  cluster.Submit(SmallSweep("later", "{model: modular, rules: 4, model_seed: [1, 2]}"),
                 {"--paused"});
  auto series = Scrape(port);
  EXPECT_EQ(series["modlab_jobs_finished_total"], 3);
  EXPECT_EQ(series["modlab_points_total"], 3 * 4);
  EXPECT_EQ(series["modlab_jobs{state=\"waiting\"}"], 2);
  EXPECT_EQ(series["modlab_jobs{state=\"running\"}"], 0);
  EXPECT_EQ(series["modlab_sweeps{state=\"paused\"}"], 1);
  EXPECT_EQ(series["modlab_workers{state=\"active\"}"], 1);
  EXPECT_EQ(series["modlab_slots{state=\"busy\"}"] + series["modlab_slots{state=\"idle\"}"], 1);
  EXPECT_EQ(series["modlab_attempts_failed_total{cause=\"worker_lost\"}"], 0);
  EXPECT_GT(series["modlab_commit_seconds_count"], 0);
  EXPECT_EQ(series["modlab_commit_seconds_bucket{le=\"+Inf\"}"],
            series["modlab_commit_seconds_count"]);
  EXPECT_GT(series["modlab_store_bytes{kind=\"database\"}"], 0);
  EXPECT_GT(series["modlab_store_bytes{kind=\"artifacts\"}"], 0);
  EXPECT_GT(series["modlab_store_free_bytes"], 0);
  EXPECT_EQ(series["modlab_store_trouble"], 0);
  EXPECT_GT(series["modlab_uptime_seconds"], 0);
}

TEST(EyesTest, MetricsAreOnlyWhereTheyAreWanted) {
  Cluster cluster;
  cluster.StartCoordinator();
  EXPECT_EQ(MetricsPort(cluster), 0);
  Process wrong({ModlabdPath(), "--data-dir", cluster.dir() + "/other", "--metrics", "unix:/m"},
                cluster.dir() + "/wrong.log", cluster.dir() + "/wrong.log");
  EXPECT_EQ(wrong.Wait(), 2);
  EXPECT_THAT(ReadFile(cluster.dir() + "/wrong.log"), HasSubstr("is no HOST:PORT"));
  Process open({ModlabdPath(), "--data-dir", cluster.dir() + "/other", "--metrics", "0.0.0.0:0"},
               cluster.dir() + "/open.log", cluster.dir() + "/open.log");
  EXPECT_EQ(open.Wait(), 2);
  EXPECT_THAT(ReadFile(cluster.dir() + "/open.log"), HasSubstr("--metrics-insecure"));
}

TEST(EyesTest, TopShowsSweepsAndWorkers) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/1);
  const std::string running = cluster.Submit(Endless("busy"), {"--user", "ada"});
  const std::string waiting =
      cluster.Submit(SmallSweep("calm", "{model: modular, rules: 4, model_seed: [1, 2]}"),
                     {"--priority", "-3", "--max-running", "1", "--paused"});
  ASSERT_TRUE(
      cluster.WaitForSweep(running, [](const Json& sweep) { return sweep["running"] == 1; }));

  // No terminal: once.
  const Output text = cluster.Modlab({"top"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(StartsWith("modlab "), HasSubstr("2 waiting, 1 running\n"),
                              HasSubstr(running), HasSubstr(waiting), HasSubstr("worker-1")));
  EXPECT_THAT(text.out, HasSubstr("at most 1 running, paused"));

  const Output output = cluster.Modlab({"top", "--once", "--format", "json"});
  EXPECT_EQ(output.exit_code, 0) << output.err;
  const Json top = Json::parse(output.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(top.is_object()) << output.out;
  EXPECT_EQ(top["waiting"], 2);
  EXPECT_EQ(top["running"], 1);
  EXPECT_EQ(top["trouble"], "");
  EXPECT_GT(top["database_bytes"], 0);
  EXPECT_GT(top["free_bytes"], 0);
  ASSERT_EQ(top["sweeps"].size(), 2U);
  // The highest priority first.
  EXPECT_EQ(top["sweeps"][0]["id"], running);
  EXPECT_EQ(top["sweeps"][0]["user"], "ada");
  EXPECT_EQ(top["sweeps"][0]["slots"], 1);
  EXPECT_EQ(top["sweeps"][1]["priority"], -3);
  EXPECT_EQ(top["sweeps"][1]["paused"], true);
  ASSERT_EQ(top["workers"].size(), 1U);
  EXPECT_EQ(top["workers"][0]["jobs_held"], 1);
}

TEST(EyesTest, EventsTellAJobsLife) {
  Cluster cluster;
  cluster.StartCoordinator();
  Process* const worker = cluster.StartWorker(/*gang=*/1);
  const std::string sweep = cluster.Submit(Endless("life"), {"--user", "ada"});
  ASSERT_TRUE(cluster.WaitForSweep(sweep, [](const Json& view) { return view["running"] == 1; }));
  worker->Kill();
  ASSERT_TRUE(cluster.WaitForSweep(sweep, [](const Json& view) { return view["queued"] == 1; }));
  EXPECT_EQ(cluster.Modlab({"cancel", sweep}).exit_code, 0);

  const std::string job = cluster.Row({"ls", sweep})["job"].dump();
  const Json events = cluster.Rows({"show", job, "--events"});
  std::vector<std::string> kinds;
  for (const Json& event : events) kinds.push_back(event["event"]);
  EXPECT_THAT(kinds, testing::ElementsAre("submitted", "leased", "attempt_failed", "stopped"));
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0]["attempt"], nullptr);
  EXPECT_EQ(events[0]["reason"], "by ada, in sweep life-1");
  EXPECT_EQ(events[1]["attempt"], 1);
  EXPECT_EQ(events[1]["worker"], "worker-1");
  EXPECT_EQ(events[1]["iteration"], 0);
  EXPECT_EQ(events[1]["reason"], "from the beginning");
  EXPECT_EQ(events[2]["cause"], "worker_lost");
  EXPECT_EQ(events[2]["attempt"], 1);
  EXPECT_NE(events[2]["reason"], nullptr);
  EXPECT_THAT(events[3]["time"].get<std::string>(), StartsWith("20"));

  const Output table = cluster.Modlab({"show", job, "--events"});
  EXPECT_THAT(table.out, AllOf(StartsWith("time "), HasSubstr("attempt_failed")));
  const Output csv = cluster.Modlab({"show", job, "--events", "--format", "csv"});
  EXPECT_THAT(csv.out, StartsWith("time,event,attempt,worker,iteration,cause,reason\r\n"));
  EXPECT_EQ(cluster.Modlab({"show", sweep, "--events"}).exit_code, 2);
}

TEST(EyesTest, LogsMayBeJson) {
  Cluster cluster;
  cluster.StartCoordinator(2, {"--log-format", "json"});
  Process* const worker = cluster.StartWorker(/*gang=*/1, {"--log-format", "json"});
  const std::string sweep = cluster.Submit(Endless("logged"));
  ASSERT_TRUE(cluster.WaitForSweep(sweep, [](const Json& view) { return view["running"] == 1; }));
  worker->Kill();
  ASSERT_TRUE(cluster.WaitForSweep(sweep, [](const Json& view) { return view["queued"] == 1; }));

  int lines = 0;
  bool told = false;
  for (const char* name : {"/modlabd-1.log", "/worker-1.log"}) {
    const std::string log = ReadFile(cluster.dir() + name);
    const std::vector<std::string> texts = absl::StrSplit(log, '\n');
    for (const std::string& line : texts) {
      if (line.empty() || absl::StartsWith(line, "modlabd ready at ")) continue;
      const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      EXPECT_TRUE(json.is_object()) << line;
      if (!json.is_object()) continue;
      EXPECT_TRUE(json.contains("time") && json.contains("level") && json.contains("message"));
      ++lines;
      told = told || (json.contains("job") && json["worker"] == "worker-1" &&
                      json["attempt"] == 1 && json["level"] == "warning");
    }
  }
  EXPECT_GT(lines, 1);
  EXPECT_TRUE(told) << "no line about the lost attempt";
}

TEST(EyesTest, WhatUsersAndWorkersDoIsLogged) {
  Cluster cluster;
  cluster.StartCoordinator(2, {"--log-format", "json"});
  cluster.StartWorker(/*gang=*/1);
  const std::string sweep = cluster.Submit(Endless("logged"));
  const auto await = [&](const char* state) {
    ASSERT_TRUE(cluster.WaitForSweep(sweep, [&](const Json& view) { return view[state] == 1; }));
  };
  await("running");
  EXPECT_EQ(cluster.Modlab({"pause", sweep}).exit_code, 0);
  await("queued");
  EXPECT_EQ(cluster.Modlab({"resume", sweep}).exit_code, 0);
  EXPECT_EQ(cluster.Modlab({"set", sweep, "--priority", "3"}).exit_code, 0);
  EXPECT_EQ(cluster.Modlab({"extend", sweep, "model_seed=7"}).exit_code, 0);
  EXPECT_EQ(cluster.Modlab({"cancel", sweep, "--where", "model_seed=7"}).exit_code, 0);
  EXPECT_EQ(cluster.Modlab({"cancel", sweep}).exit_code, 0);
  EXPECT_EQ(cluster.Modlab({"workers", "drain", "worker-1", "--wait"}).exit_code, 0);

  std::vector<std::string> said;
  const std::string log = ReadFile(cluster.dir() + "/modlabd-1.log");
  const std::vector<std::string> texts = absl::StrSplit(log, '\n');
  for (const std::string& text : texts) {
    const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object()) continue;
    const std::string about = line.contains("sweep")    ? line["sweep"]
                              : line.contains("worker") ? line["worker"]
                                                        : Json("");
    said.push_back(about + ": " + std::string(line["message"]));
    if (said.back() == sweep + ": submitted: 1 new jobs, 0 shared, 0 queued again") {
      EXPECT_TRUE(line.contains("user"));
    }
  }
  for (const char* what : {"worker-1: connected, 1 slots on ", "worker-1: asked to drain",
                           "worker-1: drains", "worker-1: disconnected"}) {
    EXPECT_THAT(said, Contains(StartsWith(what)));
  }
  for (const char* what :
       {"submitted: 1 new jobs, 0 shared, 0 queued again", "policy changed: paused",
        "policy changed: resumed", "policy changed: priority 3",
        "extended: 1 new jobs, 0 shared, 0 queued again", "1 of its jobs cancelled",
        "cancelled: 1 jobs"}) {
    EXPECT_THAT(said, Contains(sweep + ": " + what));
  }
}

}  // namespace
}  // namespace modlab::e2e
