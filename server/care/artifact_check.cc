#include "server/care/artifact_check.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/store/artifact_tree.h"

namespace modlab {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

}  // namespace

void ArtifactCheck::CheckRow(const ArtifactRow& row) {
  rows_.push_back({row.sha256, row.size_bytes, row.references > 0});
  const std::string subject = absl::StrCat("artifact ", row.sha256);
  v1::AuditSummary* summary = findings_->summary();
  summary->set_artifacts(summary->artifacts() + 1);
  summary->set_artifact_bytes(summary->artifact_bytes() + row.size_bytes.value_or(0));
  if (row.refs != row.references) {
    findings_->Damage("bad_reference_count", subject,
                      absl::StrCat("its row says that ", row.refs, " jobs refer to it, and ",
                                   row.references, " do"));
  }
}

absl::Status ArtifactCheck::CheckContents() {
  for (const Known& row : rows_) {
    // Its file is still to come, or about to go, or gone already.
    absl::Status status = row.needed ? CheckContent(row) : absl::OkStatus();
    if (status.ok()) status = findings_->Advance();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ArtifactCheck::CheckContent(const Known& row) {
  const absl::StatusOr<std::string> wrong = WrongWithFile(row);
  if (!wrong.ok()) return wrong.status();
  if (wrong->empty()) return absl::OkStatus();
  const absl::StatusOr<std::optional<ArtifactRow>> now = ReadArtifactRow(later_, row.sha256);
  if (!now.ok()) return now.status();
  const bool needed = now->has_value() && (*now)->references > 0;
  if (needed) findings_->Damage("bad_artifact", absl::StrCat("artifact ", row.sha256), *wrong);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ArtifactCheck::WrongWithFile(const Known& row) const {
  constexpr char kWhatToDo[] =
      ". Restore it from a backup, or train its jobs again (submit with --force)";
  const absl::StatusOr<std::unique_ptr<ArtifactReader>> reader = artifacts_->Read(row.sha256);
  if (absl::IsNotFound(reader.status())) {
    return absl::StrCat("jobs refer to it, and its file is missing", kWhatToDo);
  }
  if (!reader.ok()) return std::string(reader.status().message());
  if ((*reader)->size_bytes() != row.size_bytes) {
    return absl::StrCat("its file has ", (*reader)->size_bytes(), " bytes, and its row says ",
                        row.size_bytes.has_value() ? absl::StrCat(*row.size_bytes)
                                                   : "that it was missing when it was made",
                        kWhatToDo);
  }
  while (checksums_) {
    const absl::StatusOr<std::string> piece = (*reader)->Next(kPieceBytes);
    if (!piece.ok()) return absl::StrCat(std::string(piece.status().message()), kWhatToDo);
    if (piece->empty()) break;
  }
  return std::string();
}

absl::Status ArtifactCheck::CheckFiles() {
  return ScanArtifactFiles(data_dir_, [this](const ArtifactOnDisk& file) {
    const auto known = std::lower_bound(
        rows_.begin(), rows_.end(), file.sha256,
        [](const Known& row, const std::string& name) { return row.sha256 < name; });
    if (known != rows_.end() && known->sha256 == file.sha256) return absl::OkStatus();
    if (!file.sha256.empty()) {
      const absl::StatusOr<std::optional<ArtifactRow>> now = ReadArtifactRow(later_, file.sha256);
      if (!now.ok()) return now.status();
      if (now->has_value() || access(file.path.c_str(), F_OK) != 0) return absl::OkStatus();
    }
    findings_->Damage("orphan_artifact", absl::StrCat("file ", file.path),
                      "the store knows nothing of it; remove it, or move it elsewhere");
    return absl::OkStatus();
  });
}

}  // namespace modlab
