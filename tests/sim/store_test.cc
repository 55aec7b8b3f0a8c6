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
  ~StoreTest() override { TakeDisk(); }

  void PutDisk(uint64_t seed) {
    TakeDisk();
    disk_ = std::make_unique<Disk>(seed);
    vfs_ = std::make_unique<Vfs>(disk_.get(), seed);
  }
  void TakeDisk() {
    if (disk_ != nullptr) Crash();
    vfs_.reset();
    disk_.reset();
  }

  void Open() {
    StoreOptions options;
    options.vfs = Vfs::kName;
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open("/sim", options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void Crash() {
    disk_->Crash();
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

  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Vfs> vfs_;
  std::unique_ptr<Store> store_;
};

// The process may end between writing a transaction and syncing it. Whoever starts next
// finds it, and tells users that their sweep is there.
TEST_F(StoreTest, WhatAStartFoundSurvivesAPowerCut) {
  int found = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    // From before the first write of the transaction to after its sync.
    const int64_t operations = static_cast<int64_t>(seed) % 20;
    PutDisk(seed);
    Open();
    disk_->CrashAfter(operations);
    Submit("request");
    Crash();
    disk_->Restart(/*power_was_cut=*/false);
    Open();
    if (!Has("request")) continue;
    ++found;
    Crash();
    disk_->Restart(/*power_was_cut=*/true);
    Open();
    EXPECT_TRUE(Has("request")) << "disk " << seed << ", crash after " << operations
                                << " operations";
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace sim
}  // namespace modlab
