// How lines of the log name what they are about: "job=17 attempt=2 worker=node-1".

#ifndef MODLAB_SERVER_ENGINE_JOB_LOG_H_
#define MODLAB_SERVER_ENGINE_JOB_LOG_H_

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace modlab {

// Begin a line. What came from outside stays on the line.
inline std::string LogField(absl::string_view name, absl::string_view value) {
  std::string text = absl::Utf8SafeCEscape(value);
  if (text.find(' ') != std::string::npos) text = absl::StrCat("\"", text, "\"");
  return absl::StrCat(name, "=", text);
}
inline std::string JobFields(int64_t job_id, int32_t attempt, absl::string_view worker) {
  return absl::StrCat("job=", job_id, " attempt=", attempt, " ", LogField("worker", worker));
}

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_JOB_LOG_H_
