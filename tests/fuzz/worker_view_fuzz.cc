// Views as a hostile worker might send them: the text form of a WorkerView.

#include <cstddef>
#include <cstdint>
#include <string>

#include "google/protobuf/text_format.h"
#include "lib/config/job_config.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/report_check.h"
#include "tests/fuzz/expect.h"
#include "tests/fuzz/quiet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace v1 = modlab::v1;
  modlab::QuietProtobuf();
  static const v1::JobConfig* const config = [] {
    v1::JobConfig job;
    job.set_architecture(v1::MLP);
    job.set_target(v1::REGRESSION);
    job.set_rules(2);
    job.set_model(v1::MODULAR);
    job.set_iterations(1000);
    return new v1::JobConfig(modlab::Canonicalise(job).value());
  }();

  v1::WorkerView view;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!google::protobuf::TextFormat::ParseFromString(text, &view)) return 0;
  const absl::Status sound = modlab::CheckView(view);
  MODLAB_EXPECT(sound.ok() || absl::IsInvalidArgument(sound));
  if (sound.ok()) MODLAB_EXPECT(view.slots_idle() <= view.slots() && view.worker_id().size() == 32);
  for (const v1::Report& report : view.reports()) {
    if (report.has_point() && modlab::CheckPoint(report.point(), *config).ok()) {
      MODLAB_EXPECT(report.point().iteration() <= config->iterations());
    }
    if (report.has_finished() && modlab::CheckResult(report.finished(), *config).ok()) {
      MODLAB_EXPECT(report.finished().wall_seconds() >= 0);
    }
  }
  return 0;
}
