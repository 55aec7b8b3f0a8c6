// Failed system calls on files as absl::Status.

#ifndef MODLAB_SERVER_STORE_FILE_ERROR_H_
#define MODLAB_SERVER_STORE_FILE_ERROR_H_

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace modlab {

// What `error` (an errno) means for an attempt to `verb` ("write") `path`.
// RESOURCE_EXHAUSTED for a full disk, FAILED_PRECONDITION for what a user can
// set right, INTERNAL for all else.
inline absl::Status FileError(int error, absl::string_view verb, const std::string& path) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(
          absl::StrCat("disk full: cannot ", verb, " ", path, "; free some space and try again"));
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
    case EEXIST:
    case EISDIR:
      return absl::FailedPreconditionError(
          absl::StrCat("cannot ", verb, " ", path, ": ", std::strerror(error)));
    default:
      return absl::InternalError(
          absl::StrCat("cannot ", verb, " ", path, ": ", std::strerror(error)));
  }
}

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_FILE_ERROR_H_
