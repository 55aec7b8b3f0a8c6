#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/live_line.h"
#include "client/new_file.h"
#include "client/text.h"
#include "lib/config/sha256.h"
#include "modlab/v1/coordinator.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string file;
  bool without_artifacts = false;
};

struct Received {
  int64_t size_bytes = 0;
  int64_t announced_bytes = 0;
  std::string sha256;
  std::string announced_sha256;
};

absl::Status CannotWrite(const std::string& path) {
  return absl::InternalError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
}

// A backup that is lost with the machine's power is none.
absl::Status Sync(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return CannotWrite(path);
  const bool ok = fsync(fd) == 0;
  const absl::Status status = ok ? absl::OkStatus() : CannotWrite(path);
  close(fd);
  return status;
}

// From its beginning each time it is tried.
absl::StatusOr<Received> Receive(const Connection& connection, const Options& options,
                                 const std::string& path) {
  v1::BackupRequest request;
  request.set_without_artifacts(options.without_artifacts);
  Received received;
  bool written = false;
  LiveLine line;
  v1::CoordinatorService::Stub stub(connection.channel());
  absl::Status status = connection.Attempt([&](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::time_point::max());
    received = Received();
    Sha256 hash;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    line.Show("the coordinator makes the backup ...");
    auto reader = stub.Backup(context, request);
    v1::BackupResponse piece;
    while (file && reader->Read(&piece)) {
      if (piece.size_bytes() > 0) received.announced_bytes = piece.size_bytes();
      if (!piece.sha256().empty()) received.announced_sha256 = piece.sha256();
      file.write(piece.data().data(), static_cast<std::streamsize>(piece.data().size()));
      hash.Update(piece.data());
      received.size_bytes += static_cast<int64_t>(piece.data().size());
      line.Show(absl::StrCat(BytesText(received.size_bytes), " of ",
                             BytesText(received.announced_bytes)));
    }
    received.sha256 = hash.FinishHex();
    written = file.flush().good();
    if (!written) {
      context->TryCancel();
      reader->Finish();
      return grpc::Status::OK;
    }
    return reader->Finish();
  });
  if (!status.ok()) return status;
  if (!written) return CannotWrite(path);
  return received;
}

absl::StatusOr<int> Backup(const Options& options) {
  const auto file = NewFile::Create(options.file);
  if (!file.ok()) return file.status();
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  const absl::StatusOr<Received> received = Receive(**connection, options, (*file)->partial());
  if (!received.ok()) return received.status();
  if (received->sha256 != received->announced_sha256 ||
      received->size_bytes != received->announced_bytes) {
    return absl::DataLossError(absl::StrCat("the backup arrived damaged: ", received->size_bytes,
                                            " bytes of ", received->announced_bytes, ", SHA-256 ",
                                            received->sha256, " and not ",
                                            received->announced_sha256));
  }
  absl::Status status = Sync((*file)->partial());
  if (status.ok()) status = (*file)->Commit();
  if (!status.ok()) return status;
  std::cout << options.file << ": " << BytesText(received->size_bytes) << ", SHA-256 "
            << received->sha256 << "\nRead it with `modlabd restore " << options.file
            << " --data-dir DIR`.\n";
  return kExitOk;
}

}  // namespace

void AddBackup(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "backup", "Write the store, as it is now, into one file while everything goes on");
  command->add_option("FILE", options->file, "File to write, or to replace once it is whole")
      ->type_name("")
      ->required();
  command->add_flag("--without-artifacts", options->without_artifacts,
                    "The database alone: figures and curves, but no weights, and jobs that are "
                    "not finished start anew");
  AddConnectionOptions(command, &options->choice);
  command->footer(
      "The coordinator needs as much free space on its disk, for a while, as the file takes.\n"
      "\nExample:\n  modlab backup /backups/modlab-monday --server localhost:7070");
  command->callback([=] { *action = [=] { return Backup(*options); }; });
}

}  // namespace modlab
