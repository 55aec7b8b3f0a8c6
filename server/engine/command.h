// What is asked of the engine.

#ifndef MODLAB_SERVER_ENGINE_COMMAND_H_
#define MODLAB_SERVER_ENGINE_COMMAND_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "server/engine/ledger.h"

namespace modlab {

struct Command {
  // One all-or-nothing change: any of the steps in *_steps.h, or several.
  Ledger::Step run;
  // Called once: after the commit if `run` wrote.
  std::function<void(const absl::Status&)> done;
  // `run` reads the store itself: earlier commands are committed before it.
  bool reads_store = false;
  // Committed by itself: it fails with nobody else, nor makes others fail. What it leaves
  // unused is removed at once.
  bool alone = false;
  // Before it, room is made for the log: it is what frees a full disk. Only with `alone`.
  bool at_full_disk = false;
  // The worker whose view `run` takes in, if any.
  std::string worker_id;

  // For the inbox. Must not be refused for want of room; such commands are few by
  // themselves.
  bool urgent = false;
  int64_t posted_us = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_COMMAND_H_
