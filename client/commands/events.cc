#include "client/commands/events.h"

#include <cstdint>
#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/text.h"
#include "lib/config/words.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

// "attempt_failed"; a newer coordinator's kind by its number.
std::string KindName(v1::JobEventKind kind) {
  const std::string name = v1::JobEventKind_Name(kind);
  return name.empty() ? absl::StrCat(static_cast<int>(kind)) : absl::AsciiStrToLower(name);
}

}  // namespace

absl::Status PrintJobEvents(const Connection& connection, int64_t job, Format format) {
  v1::ListJobEventsRequest request;
  request.set_id(job);
  auto response = connection.Call(&v1::SweepService::Stub::ListJobEvents, request);
  if (!response.ok()) return response.status();
  RowWriter writer(format, {"time", "event", "attempt", "worker", "iteration", "cause", "reason"},
                   &std::cout);
  for (const v1::JobEvent& event : response->events()) {
    const bool of_attempt = event.attempt() > 0;
    const bool failed = event.cause() != v1::FAILURE_CAUSE_UNSPECIFIED;
    writer.Add({TextCell(TimeText(event.time_us())), KindName(event.kind()),
                of_attempt ? Cell(int64_t{event.attempt()}) : Cell(), TextCell(event.worker()),
                of_attempt ? Cell(event.iteration()) : Cell(),
                failed ? TextCell(CauseName(event.cause())) : Cell(), TextCell(event.reason())});
  }
  writer.Finish();
  return absl::OkStatus();
}

}  // namespace modlab
