// The real store through every crash point of a transaction.

#include "server/store/store.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "tests/sim/disk.h"
#include "tests/sim/vfs.h"

namespace modlab {
namespace sim {
namespace {

class StoreTest : public testing::Test {
 protected:
  StoreTest() : disk_(1), vfs_(&disk_, 1) {}
  ~StoreTest() override { Crash(); }

  void Open() {
    StoreOptions options;
    options.vfs = Vfs::kName;
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open("/sim", options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void Crash() {
    disk_.Crash();
    store_.reset();
  }

  void Submit(const std::string& request_id) {
    v1::SweepSpec spec;
    spec.set_name("s");
    Store::Writer* const writer = store_->writer();
    if (!writer->Begin().ok()) return;
    if (writer->InsertSweep(spec, {}, "", request_id, 1).ok()) writer->Commit().IgnoreError();
  }

  bool Has(const std::string& request_id) {
    Store::Writer* const writer = store_->writer();
    EXPECT_TRUE(writer->Begin().ok());
    const absl::StatusOr<std::optional<std::string>> sweep = writer->FindRequest(request_id);
    writer->Rollback();
    EXPECT_TRUE(sweep.ok()) << sweep.status();
    return sweep.ok() && sweep->has_value();
  }

  Disk disk_;
  Vfs vfs_;
  std::unique_ptr<Store> store_;
};

// The process may end between writing a transaction and syncing it. Whoever starts next
// finds it, and tells users that their sweep is there.
TEST_F(StoreTest, WhatAStartFoundSurvivesAPowerCut) {
  int found = 0;
  for (int64_t operations = 0; operations < 20; ++operations) {
    const std::string request_id = "request-" + std::to_string(operations);
    disk_.Restart(/*power_was_cut=*/false);
    Open();
    disk_.CrashAfter(operations);
    Submit(request_id);
    Crash();
    disk_.Restart(/*power_was_cut=*/false);
    Open();
    if (!Has(request_id)) {
      Crash();
      continue;
    }
    ++found;
    Crash();
    disk_.Restart(/*power_was_cut=*/true);
    Open();
    EXPECT_TRUE(Has(request_id)) << "crash after " << operations << " operations";
    Crash();
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace sim
}  // namespace modlab
