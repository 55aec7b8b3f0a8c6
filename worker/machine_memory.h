// How much memory this machine has for us.

#ifndef MODLAB_WORKER_MACHINE_MEMORY_H_
#define MODLAB_WORKER_MACHINE_MEMORY_H_

#include <cstdint>
#include <string>

namespace modlab {

// The machine's memory, or where that is less the limit of a control group (version 1
// or 2, of a container or a batch system) that this process is in. 0: not known. Files
// are read below `root`, which is for tests.
int64_t MachineMemoryBytes(const std::string& root = "");

// What the gang of one slot may use of the memory of a device or machine: its share, less a fifth
// for the process itself, for evaluations and for what is foreseen badly.
int64_t SlotMemoryBytes(int64_t memory_bytes, int slots);

}  // namespace modlab

#endif  // MODLAB_WORKER_MACHINE_MEMORY_H_
