#include "lib/train/checkpoint.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/weights/safetensors.h"

namespace modlab {
namespace {

// 17 digits give back the same double.
std::string ExactText(double value) { return absl::StrFormat("%.17g", value); }

// Reads numbers out of a file's metadata, and remembers the first that is not there.
class Metadata {
 public:
  explicit Metadata(const std::map<std::string, std::string>& entries) : entries_(entries) {}

  std::string Text(const std::string& name) {
    const auto found = entries_.find(name);
    if (found != entries_.end()) return found->second;
    if (bad_.empty()) bad_ = name;
    return "";
  }
  int64_t Integer(const std::string& name) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(Text(name), &value) && bad_.empty()) bad_ = name;
    return value;
  }
  double Number(const std::string& name) {
    double value = 0;
    if (!absl::SimpleAtod(Text(name), &value) && bad_.empty()) bad_ = name;
    return value;
  }

  absl::Status status() const {
    if (bad_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("not a checkpoint of training: its metadata has no proper \"", bad_, "\""));
  }

 private:
  const std::map<std::string, std::string>& entries_;
  std::string bad_;
};

}  // namespace

std::string EncodeCheckpoint(Checkpoint checkpoint) {
  TensorFile file;
  file.tensors = std::move(checkpoint.tensors);
  file.metadata = {{"job_key", checkpoint.job_key},
                   {"iteration", absl::StrCat(checkpoint.iteration)},
                   {"measured", checkpoint.measured ? "1" : "0"},
                   {"loss_sum", ExactText(checkpoint.loss_sum)},
                   {"best_iteration", absl::StrCat(checkpoint.best_iteration)},
                   {"best_figure", ExactText(checkpoint.best_figure)}};
  return EncodeSafetensors(file);
}

absl::StatusOr<Checkpoint> DecodeCheckpoint(absl::string_view bytes) {
  absl::StatusOr<TensorFile> file = DecodeSafetensors(bytes);
  if (!file.ok()) return file.status();
  Metadata metadata(file->metadata);
  Checkpoint checkpoint;
  checkpoint.job_key = metadata.Text("job_key");
  checkpoint.iteration = metadata.Integer("iteration");
  checkpoint.measured = metadata.Integer("measured") != 0;
  checkpoint.loss_sum = metadata.Number("loss_sum");
  checkpoint.best_iteration = metadata.Integer("best_iteration");
  checkpoint.best_figure = metadata.Number("best_figure");
  if (!metadata.status().ok()) return metadata.status();
  checkpoint.tensors = std::move(file->tensors);
  return checkpoint;
}

}  // namespace modlab
