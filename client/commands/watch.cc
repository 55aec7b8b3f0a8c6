#include "client/commands/watch.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/commands/command.h"
#include "client/commands/submit.h"
#include "client/interrupt.h"
#include "client/progress.h"
#include "client/text.h"
#include "client/waiting.h"
#include "modlab/v1/sweep.grpc.pb.h"
#include "modlab/v1/worker.grpc.pb.h"

namespace modlab {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(500);
constexpr absl::Duration kAwayMax = absl::Seconds(30);
constexpr absl::Duration kLineInterval = absl::Seconds(5);
// Lines even if no job began or ended.
constexpr absl::Duration kQuietMax = absl::Seconds(60);
constexpr absl::Duration kIdleMax = absl::Seconds(3);

// Where progress goes: one line that is redrawn, or lines in a log.
class Display {
 public:
  explicit Display(std::FILE* out) : out_(out), live_(isatty(fileno(out)) != 0) {}
  // The shell's prompt begins on a line of its own.
  ~Display() {
    if (drawn_) std::fputs("\n", out_);
  }

  void Show(const Progress& progress) {
    if (live_) {
      winsize size = {};
      const bool known = ioctl(fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
      Draw(progress.Bar(known ? size.ws_col - 1 : 79));
      return;
    }
    const absl::Duration quiet = absl::Now() - last_line_;
    const bool worth =
        progress.CountsDiffer(last_counts_) ? quiet >= kLineInterval : quiet >= kQuietMax;
    if (!worth && !progress.Done()) return;
    last_line_ = absl::Now();
    last_counts_ = progress.sweep().counts();
    std::fprintf(out_, "%s\n", progress.Line().c_str());
    std::fflush(out_);
  }

  void Notice(const std::string& text) {
    if (drawn_) std::fputs("\r\x1b[K", out_);
    drawn_ = false;
    std::fprintf(out_, "%s\n", text.c_str());
    std::fflush(out_);
  }

 private:
  void Draw(const std::string& line) {
    std::fprintf(out_, "\r%s\x1b[K", line.c_str());
    std::fflush(out_);
    drawn_ = true;
  }

  std::FILE* const out_;
  const bool live_;
  bool drawn_ = false;
  absl::Time last_line_ = absl::InfinitePast();
  v1::JobCounts last_counts_;
};

// Tells once that jobs wait and nobody is there to take them, or may, and why.
class IdleNotice {
 public:
  void Check(const Connection& connection, const v1::Sweep& sweep, Display* display) {
    if (sweep.policy().paused()) {
      if (!paused_told_) {
        display->Notice(absl::StrCat("It is paused. Go on with `modlab resume ", sweep.id(),
                                     connection.flags(), "`."));
      }
      paused_told_ = true;
      since_ = absl::Now();
      return;
    }
    paused_told_ = false;
    if (sweep.counts().running() > 0 || sweep.counts().queued() == 0) {
      since_ = absl::Now();
      return;
    }
    // Our own workers need a moment, and are looked after.
    if (connection.embedded() != nullptr || absl::Now() - since_ < kIdleMax) return;
    since_ = absl::Now();
    std::string why = WhySweepWaits(connection, sweep);
    if (!why.empty() && why != told_) display->Notice(why);
    told_ = std::move(why);
  }

 private:
  std::string told_;
  bool paused_told_ = false;
  absl::Time since_ = absl::Now();
};

struct Options {
  Connection::Choice choice;
  std::string sweep;
};

absl::StatusOr<int> Watch(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  const std::string& flags = (*connection)->flags();
  if ((*connection)->embedded() != nullptr) {
    // Nobody trains on a store that no coordinator holds: tell how it stands.
    v1::GetSweepRequest request;
    request.set_sweep(options.sweep);
    auto sweep = (*connection)->Call(&v1::SweepService::Stub::GetSweep, request);
    if (!sweep.ok()) return sweep.status();
    Progress progress;
    progress.Update(*sweep, absl::Now());
    std::cout << progress.Line() << "\n";
    if (progress.Done()) return EndCode(*sweep);
    return absl::FailedPreconditionError(
        absl::StrCat("nothing trains it. ", HowToTrain(**connection, sweep->id())));
  }
  auto sweep = WatchSweep(**connection, options.sweep, stdout);
  if (!sweep.ok()) return sweep.status();
  std::cout << EndText(*sweep, flags) << "\n";
  return EndCode(*sweep);
}

}  // namespace

absl::StatusOr<v1::Sweep> WatchSweep(const Connection& connection, const std::string& sweep,
                                     std::FILE* out) {
  Display display(out);
  Progress progress;
  IdleNotice idle;
  v1::GetSweepRequest request;
  request.set_sweep(sweep);
  absl::Time answered = absl::Now();
  bool away = false;
  while (true) {
    const bool workers_went =
        connection.embedded() != nullptr && connection.embedded()->AllWorkersWent();
    // Only what answered before is worth waiting for.
    auto view = connection.Call(&v1::SweepService::Stub::GetSweep, request,
                                away ? absl::ZeroDuration() : Connection::kPatience);
    if (view.ok()) {
      if (away) display.Notice("The coordinator is back.");
      away = false;
      answered = absl::Now();
      // The name's newest sweep may become another one meanwhile.
      request.set_sweep(view->id());
      progress.Update(*view, answered);
      display.Show(progress);
      if (progress.Done()) return *view;
      if (connection.embedded() != nullptr) {
        const absl::Status children = connection.embedded()->status();
        if (!children.ok()) return children;
        // Others may have come from elsewhere.
        if (workers_went && view->counts().running() == 0) {
          return absl::FailedPreconditionError(
              "nothing trains it any more: all workers of this command were drained. What is "
              "finished is kept; run the command again to go on");
        }
      }
      idle.Check(connection, *view, &display);
    } else {
      const bool known = !progress.sweep().id().empty();
      if (!known || !absl::IsUnavailable(view.status()) || absl::Now() - answered > kAwayMax) {
        return view.status();
      }
      if (!away) display.Notice("The coordinator does not answer; waiting for it ...");
      away = true;
    }
    if (!Interrupt::Sleep(kPollInterval)) return absl::CancelledError("interrupted");
  }
}

std::string WhySweepWaits(const Connection& connection, const v1::Sweep& sweep) {
  if (connection.embedded() != nullptr || sweep.counts().running() > 0) return "";
  auto workers = connection.Call(&v1::WorkerService::Stub::ListWorkers, v1::ListWorkersRequest());
  if (!workers.ok()) return "";
  return WhyItWaits(sweep, workers->workers(), absl::ToUnixMicros(absl::Now()),
                    connection.address(), connection.flags());
}

std::string EndText(const v1::Sweep& sweep, const std::string& flags) {
  const v1::JobCounts& counts = sweep.counts();
  std::vector<std::string> parts;
  if (counts.succeeded() > 0) parts.push_back(CountText(counts.succeeded()) + " succeeded");
  if (counts.failed() > 0) parts.push_back(CountText(counts.failed()) + " failed");
  if (counts.cancelled() > 0) parts.push_back(CountText(counts.cancelled()) + " cancelled");
  std::string text = absl::StrCat(sweep.id(), ": ", absl::StrJoin(parts, ", "), ".");
  if (counts.failed() > 0) {
    absl::StrAppend(&text, "\n  why        modlab ls ", sweep.id(), " --where state=failed", flags,
                    "\n  try again  modlab retry ", sweep.id(), flags);
  }
  return text;
}

int EndCode(const v1::Sweep& sweep) {
  return sweep.counts().failed() + sweep.counts().cancelled() == 0 ? kExitOk : kExitFailed;
}

void AddWatch(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "watch", "Show a sweep's progress until it ends; exit code 3 if jobs failed");
  AddSweepArgument(command, &options->sweep);
  AddConnectionOptions(command, &options->choice);
  command->footer("Example:\n  modlab watch quickstart --server localhost:7070");
  command->callback([=] { *action = [=] { return Watch(*options); }; });
}

}  // namespace modlab
