// A coordinator, and workers if asked for, as child processes of this command:
// how a data directory is used where no coordinator runs.
//
// The coordinator listens on a Unix socket in a fresh directory under $TMPDIR
// (/tmp where that is unset or too long for a socket's 107 bytes). Children that
// die are started again, see supervisor.h. Thread-safe.

#ifndef MODLAB_CLIENT_EMBEDDED_H_
#define MODLAB_CLIENT_EMBEDDED_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/interrupt.h"
#include "client/supervisor.h"

namespace modlab {

struct WorkerOptions {
  // Processes, of one slot each.
  int workers = 1;
  // Jobs a gang may have; 0: the worker's default.
  int gang = 0;
  std::string device = "auto";
};

class Embedded {
 public:
  // Returns when the coordinator answers. Its log, and the workers', go to
  // DATA_DIR/logs. Creates the directory. Errors hold the end of the log.
  static absl::StatusOr<std::unique_ptr<Embedded>> Start(const std::string& data_dir);
  // Ends the workers, then the coordinator, waits for them, and removes the
  // socket's directory.
  ~Embedded();

  absl::Status StartWorkers(const WorkerOptions& options);

  // "unix:/tmp/modlab-Xy12Zq/modlabd.sock".
  const std::string& address() const { return address_; }
  // Not OK once a child was given up.
  absl::Status status() const { return supervisor_.status(); }
  // Whether workers were started and all have ended, as asked to: they were drained.
  bool AllWorkersWent() const { return supervisor_.AllWent(); }

 private:
  Embedded(const std::string& log_dir, std::string socket_dir);

  const std::string socket_dir_;
  const std::string address_;
  Supervisor supervisor_;
  const Interrupt::Hook hook_;
};

}  // namespace modlab

#endif  // MODLAB_CLIENT_EMBEDDED_H_
