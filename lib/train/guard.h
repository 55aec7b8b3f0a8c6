// LibTorch's exceptions as a status.

#ifndef MODLAB_LIB_TRAIN_GUARD_H_
#define MODLAB_LIB_TRAIN_GUARD_H_

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace modlab {

// Runs `body`, which returns a status; what it throws becomes one.
// RESOURCE_EXHAUSTED where memory ran out, of the device or the host.
template <typename Body>
absl::Status Guard(const Body& body) {
  try {
    return body();
  } catch (const c10::Error& error) {
    // c10 has no error class for memory that is portable over its versions.
    const std::string what = error.what_without_backtrace();
    if (what.find("out of memory") != std::string::npos ||
        what.find("can't allocate memory") != std::string::npos ||
        what.find("CUBLAS_STATUS_ALLOC_FAILED") != std::string::npos) {
      return absl::ResourceExhaustedError(absl::StrCat("the device's memory is full: ", what));
    }
    return absl::InternalError(what);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the host's memory is full");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_GUARD_H_
