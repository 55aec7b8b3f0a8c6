#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/commands/command.h"
#include "client/new_file.h"
#include "client/published_weights.h"
#include "client/text.h"
#include "lib/config/job_metrics.h"
#include "lib/config/sha256.h"
#include "lib/config/words.h"
#include "modlab/v1/results.grpc.pb.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  int64_t job = 0;
  std::optional<std::string> output;
  std::optional<std::string> weights;
  bool best = false;
};

// Writes the artifact to `path`, from its beginning each time it is tried, and
// compares what arrived with its name.
absl::Status Download(const Connection& connection, const std::string& sha256,
                      const std::string& path, int64_t* size_bytes) {
  v1::DownloadArtifactRequest request;
  request.set_sha256(sha256);
  std::string actual;
  bool written = false;
  v1::ArtifactService::Stub stub(connection.channel());
  const absl::Status status = connection.Attempt([&](grpc::ClientContext* context) {
    Sha256 digest;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    *size_bytes = 0;
    auto reader = stub.DownloadArtifact(context, request);
    v1::DownloadArtifactResponse piece;
    while (file && reader->Read(&piece)) {
      file.write(piece.data().data(), static_cast<std::streamsize>(piece.data().size()));
      digest.Update(piece.data());
      *size_bytes += static_cast<int64_t>(piece.data().size());
    }
    written = file.flush().good();
    if (!written) {
      context->TryCancel();
      reader->Finish();
      return grpc::Status::OK;
    }
    actual = digest.FinishHex();
    return reader->Finish();
  });
  if (!status.ok()) return status;
  if (!written) {
    return absl::InternalError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
  }
  if (actual != sha256) {
    return absl::DataLossError(
        absl::StrCat("the checkpoint arrived damaged: its SHA-256 is ", actual, ", not ", sha256));
  }
  return absl::OkStatus();
}

// Replaces a .safetensors file by the state_dict of the same weights.
absl::Status ToStateDict(const v1::JobConfig& config, const std::string& path,
                         int64_t* size_bytes) {
  std::ifstream in(path, std::ios::binary);
  const std::string safetensors{std::istreambuf_iterator<char>(in),
                                std::istreambuf_iterator<char>()};
  if (in.bad()) {
    return absl::InternalError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  }
  in.close();
  const absl::StatusOr<std::string> state_dict = PublishedWeights(config, safetensors);
  if (!state_dict.ok()) return absl::DataLossError(state_dict.status().message());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(state_dict->data(), static_cast<std::streamsize>(state_dict->size()));
  if (!out.flush()) {
    return absl::InternalError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
  }
  *size_bytes = static_cast<int64_t>(state_dict->size());
  return absl::OkStatus();
}

// Why there is nothing to download.
absl::Status NoWeights(const v1::Job& job, bool best) {
  if (best && job.has_result() && !job.result().has_best()) {
    return absl::FailedPreconditionError(
        absl::StrCat("job ", job.id(), " kept no best checkpoint (validation_batches is ",
                     job.config().validation_batches(), "); without --best you get the last"));
  }
  if (job.has_result()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "job ", job.id(),
        " has finished, but its weights are not kept any more: they were pruned (`modlab prune`), "
        "or left out of the backup that this store was restored from. To have them again, train "
        "it again: submit a sweep of this config with --force"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("job ", job.id(), " has no weights yet: it is ", StateName(job.state())));
}

absl::StatusOr<int> Get(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  v1::GetJobRequest request;
  request.set_id(options.job);
  auto job = (*connection)->Call(&v1::SweepService::Stub::GetJob, request);
  if (!job.ok()) return job.status();
  const std::string sha256 = JobWeights(*job, options.best ? v1::BEST : v1::LAST);
  if (sha256.empty()) return NoWeights(*job, options.best);
  const std::string output = options.weights.value_or(
      options.output.value_or(absl::StrCat("job-", options.job, ".safetensors")));
  const bool state_dict = options.weights.has_value() || absl::EndsWith(output, ".pt");
  const auto file = NewFile::Create(output);
  if (!file.ok()) return file.status();
  const std::string& partial = (*file)->partial();
  int64_t size_bytes = 0;
  absl::Status status = Download(**connection, sha256, partial, &size_bytes);
  if (status.ok() && state_dict) status = ToStateDict(job->config(), partial, &size_bytes);
  if (status.ok()) status = (*file)->Commit();
  if (!status.ok()) return status;
  std::cout << output << ": " << CountText(size_bytes, "byte")
            << (state_dict ? ", a state_dict of the checkpoint with SHA-256 " : ", SHA-256 ")
            << sha256 << "\n";
  return kExitOk;
}

}  // namespace

void AddArtifacts(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand("artifacts", "Files that belong to results");
  command->require_subcommand(1);
  command->footer(
      "Example:\n  modlab artifacts get 42 --weights model.pt    (`modlab artifacts get --help` "
      "says more)");
  auto* get = command->add_subcommand(
      "get", "Download the weights of a finished job, as .safetensors or .pt");
  get->add_option("JOB", options->job, "The job's number, see `modlab ls SWEEP`")
      ->type_name("")
      ->required();
  // Given is given, even where it is empty.
  auto* output =
      get->add_option_function<std::string>(
             "-o,--output",
             [options = options.get()](const std::string& path) { options->output = path; },
             "File to write, a state_dict if its name ends in .pt; default job-JOB.safetensors")
          ->type_name("FILE");
  get->add_option_function<std::string>(
         "--weights",
         [options = options.get()](const std::string& path) { options->weights = path; },
         "Write a state_dict, for torch.load in Python, with the names and shapes of the published "
         "code")
      ->type_name("FILE.pt")
      ->excludes(output);
  get->add_flag("--best", options->best, "The weights with the best validation; default the last");
  AddConnectionOptions(get, &options->choice);
  get->footer(
      "Example:\n  modlab artifacts get 42 -o model.safetensors\n"
      "  modlab artifacts get 42 --weights model.pt --best");
  get->callback([=] { *action = [=] { return Get(*options); }; });
}

}  // namespace modlab
