#include "server/status/status_reader.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/engine/engine.h"

namespace modlab {
namespace {

constexpr int64_t kTroubleLastsUs = 30'000'000;

// 0 for a file that is not there.
int64_t FileBytes(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

}  // namespace

absl::StatusOr<EngineStatus> ReadStatus(Engine* engine, const std::string& data_dir) {
  absl::StatusOr<EngineStatus> status = engine->GetStatus();
  if (!status.ok()) return status;
  status->view.set_version(MODLAB_VERSION);
  status->view.set_database_bytes(FileBytes(data_dir + "/modlab.db") +
                                  FileBytes(data_dir + "/modlab.db-wal"));
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(data_dir, error);
  if (!error) status->view.set_free_bytes(static_cast<int64_t>(space.available));
  return status;
}

absl::Status Readiness(const absl::StatusOr<EngineStatus>& status) {
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("the engine does not answer: ", std::string(status.status().message())));
  }
  const bool fresh = status->view.now_us() - status->trouble_us < kTroubleLastsUs;
  if (!status->view.trouble().empty() && fresh) {
    return absl::UnavailableError(
        absl::StrCat("the store cannot be written: ", status->view.trouble()));
  }
  return absl::OkStatus();
}

}  // namespace modlab
