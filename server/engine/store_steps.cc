#include "server/engine/store_steps.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"

namespace modlab {

namespace {

constexpr int64_t kOlderThanSecondsMax = 1'000'000'000;  // 31 years

// As the store wants it.
absl::StatusOr<int64_t> OlderThanUs(const v1::PruneRequest& request, int64_t now_us) {
  const int64_t age_seconds = request.older_than_seconds();
  if (age_seconds < 0 || age_seconds > kOlderThanSecondsMax) {
    return absl::InvalidArgumentError(absl::StrCat("older_than_seconds is ", age_seconds,
                                                   "; allowed are 0 to ", kOlderThanSecondsMax));
  }
  return age_seconds == 0 ? 0 : std::max<int64_t>(1, now_us - age_seconds * 1'000'000);
}

}  // namespace

absl::Status RegisterArtifact(absl::string_view sha256, int64_t size_bytes, Ledger* ledger,
                              int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  return (*writer)->RegisterArtifact(sha256, size_bytes, now_us);
}

absl::StatusOr<int> CollectGarbage(int64_t before_us, int count_max, ArtifactFiles* files,
                                   Ledger* ledger) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::StatusOr<std::vector<std::string>> garbage = (*writer)->FindGarbage(before_us, count_max);
  if (!garbage.ok()) return garbage.status();
  std::vector<std::string> removed;
  for (const std::string& sha256 : *garbage) {
    absl::Status status = files->Remove(sha256);
    if (status.ok()) {
      removed.push_back(sha256);
    } else {
      spdlog::warn("an unused artifact stays: {}", status.ToString());
    }
  }
  // A file without a row would stay for ever.
  absl::Status status = files->SyncRemovals();
  if (!status.ok()) return status;
  for (const std::string& sha256 : removed) {
    status = (*writer)->ForgetArtifact(sha256);
    if (!status.ok()) return status;
  }
  if (!garbage->empty()) spdlog::debug("{} unused artifacts were removed", garbage->size());
  return static_cast<int>(garbage->size());
}

absl::StatusOr<PrunePlan> PlanPrune(const v1::PruneRequest& request, Store* store, int64_t now_us) {
  const absl::StatusOr<int64_t> older_than_us = OlderThanUs(request, now_us);
  if (!older_than_us.ok()) return older_than_us.status();
  return store->PlanPrune(request, *older_than_us);
}

absl::StatusOr<v1::PruneResponse> Prune(const v1::PruneRequest& request, Ledger* ledger,
                                        int64_t now_us) {
  const absl::StatusOr<int64_t> older_than_us = OlderThanUs(request, now_us);
  if (!older_than_us.ok()) return older_than_us.status();
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  return (*writer)->Prune(request, *older_than_us);
}

}  // namespace modlab
