// How the servers log: a line an event on standard error, for people or as JSON.
//
// Lines about a job begin "job=17 attempt=2 worker=node-1: "; such words become
// fields of their own in JSON:
//   {"time":"2024-05-01T12:00:03.000000Z","level":"warning","program":"modlabd",
//    "job":17,"attempt":2,"worker":"node-1","message":"the attempt failed, ..."}

#ifndef MODLAB_LIB_LOG_LOG_H_
#define MODLAB_LIB_LOG_LOG_H_

#include <spdlog/formatter.h>

#include <memory>
#include <string>

namespace modlab {

// Sets spdlog's default logger. `level` is one of spdlog's names, `format` "text" or
// "json". Call before other threads exist.
void StartLog(const std::string& program, const std::string& level, const std::string& format);

// One JSON object a line, whatever is in the message; broken UTF-8 is replaced.
std::unique_ptr<spdlog::formatter> MakeJsonFormatter();

}  // namespace modlab

#endif  // MODLAB_LIB_LOG_LOG_H_
