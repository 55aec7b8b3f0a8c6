#include "tests/bench/machine_limits.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace modlab::bench {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// As the store opens its database.
class Database {
 public:
  explicit Database(const std::string& path) {
    sqlite3_open(path.c_str(), &handle_);
    Run("PRAGMA journal_mode = WAL");
    Run("PRAGMA synchronous = FULL");
    Run("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b BLOB)");
    sqlite3_prepare_v2(handle_, "INSERT INTO t (a, b) VALUES (7, zeroblob(100))", -1, &insert_,
                       nullptr);
  }
  ~Database() {
    sqlite3_finalize(insert_);
    sqlite3_close(handle_);
  }
  void Run(const char* sql) { sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); }
  void Insert() {
    sqlite3_step(insert_);
    sqlite3_reset(insert_);
  }

 private:
  sqlite3* handle_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

double RowsPerSecond(Database* database, int rows_a_commit) {
  int64_t rows = 0;
  const Clock::time_point start = Clock::now();
  while (SecondsSince(start) < 1) {
    database->Run("BEGIN IMMEDIATE");
    for (int i = 0; i < rows_a_commit; ++i) database->Insert();
    database->Run("COMMIT");
    rows += rows_a_commit;
  }
  return static_cast<double>(rows) / SecondsSince(start);
}

// Calls one after another, until the time is over.
class Caller {
 public:
  Caller(grpc::GenericStub* stub, Clock::time_point end, std::atomic<int64_t>* answered)
      : stub_(stub), end_(end), answered_(answered) {
    Call();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait(lock, [this] { return done_; });
  }

 private:
  void Call() {
    context_ = std::make_unique<grpc::ClientContext>();
    response_.Clear();
    stub_->UnaryCall(context_.get(), "/grpc.health.v1.Health/Check", {}, &request_, &response_,
                     [this](const grpc::Status& status) {
                       if (status.ok()) ++*answered_;
                       if (status.ok() && Clock::now() < end_) return Call();
                       const std::lock_guard<std::mutex> lock(mutex_);
                       done_ = true;
                       ended_.notify_all();
                     });
  }

  grpc::GenericStub* const stub_;
  const Clock::time_point end_;
  std::atomic<int64_t>* const answered_;
  const grpc::Slice nothing_{""};
  const grpc::ByteBuffer request_{&nothing_, 1};
  grpc::ByteBuffer response_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
};

double EchoesPerSecond(const std::string& address) {
  constexpr int kCallers = 64;
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  std::atomic<int64_t> answered{0};
  const Clock::time_point start = Clock::now();
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.push_back(std::make_unique<Caller>(&stub, start + std::chrono::seconds(1), &answered));
  }
  for (const auto& caller : callers) caller->Wait();
  return static_cast<double>(answered.load()) / SecondsSince(start);
}

}  // namespace

MachineLimits MeasureMachine(const std::string& directory, const std::string& address) {
  MachineLimits limits;
  Database database(directory + "/limits.db");
  limits.commits_per_second = RowsPerSecond(&database, 1);
  limits.rows_per_second = RowsPerSecond(&database, 1000);
  limits.echoes_per_second = EchoesPerSecond(address);
  return limits;
}

}  // namespace modlab::bench
