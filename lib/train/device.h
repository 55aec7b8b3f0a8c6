// What this process can compute on.

#ifndef MODLAB_LIB_TRAIN_DEVICE_H_
#define MODLAB_LIB_TRAIN_DEVICE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Resolves "auto", "cpu" or "cuda:N" to "cpu" or "cuda:N". "auto" is the first
// CUDA device if there is one. INVALID_ARGUMENT for other words and for devices
// that are not there; says which are. Thread-safe.
absl::StatusOr<std::string> ResolveDevice(absl::string_view device);

// What results of `device` (resolved) are stamped with. Thread-safe.
v1::Provenance DescribeDevice(absl::string_view device);

// All the memory of a CUDA device (resolved), in bytes. 0: not known. Thread-safe.
int64_t DeviceMemoryBytes(absl::string_view device);

// Readies the process to train. LibTorch and the BLAS get one thread each: gangs
// run side by side, one a core, and two threads in one gang are slower than one.
// The allocator keeps what it was given: a step's temporaries are used again by
// the next step, not returned to the system and zeroed anew. Call first in main().
void PrepareProcess();

// Empty, or what to tell the user about a BLAS that will be slow (the reference
// BLAS that Debian installs unless told otherwise). Thread-safe.
std::string BlasWarning();

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_DEVICE_H_
