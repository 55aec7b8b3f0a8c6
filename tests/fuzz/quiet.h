// Fuzz targets whose inputs protobuf would complain of at length.

#ifndef MODLAB_TESTS_FUZZ_QUIET_H_
#define MODLAB_TESTS_FUZZ_QUIET_H_

#include "google/protobuf/stubs/logging.h"

namespace modlab {

// Lets protobuf log nothing; to be called first.
inline void QuietProtobuf() {
  static const bool quiet = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  (void)quiet;
}

}  // namespace modlab

#endif  // MODLAB_TESTS_FUZZ_QUIET_H_
