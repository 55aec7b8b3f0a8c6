// How lines of the log name a job: "job=17 attempt=2 worker=node-1".

#ifndef MODLAB_SERVER_ENGINE_JOB_LOG_H_
#define MODLAB_SERVER_ENGINE_JOB_LOG_H_

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace modlab {

// Begins a line. What came from outside stays on the line.
inline std::string JobFields(int64_t job_id, int32_t attempt, absl::string_view worker) {
  std::string name = absl::Utf8SafeCEscape(worker);
  if (name.find(' ') != std::string::npos) name = absl::StrCat("\"", name, "\"");
  return absl::StrCat("job=", job_id, " attempt=", attempt, " worker=", name);
}

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_JOB_LOG_H_
