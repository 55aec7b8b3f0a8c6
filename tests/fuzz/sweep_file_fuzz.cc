// Sweep files: YAML from users.

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/sweep_file.h"
#include "lib/config/job_config.h"
#include "tests/fuzz/expect.h"

namespace {

constexpr size_t kBytesMax = 4096;
constexpr size_t kCheckedJobsMax = 200;

// A range of a million jobs is allowed, and only takes long.
bool HasLongRange(absl::string_view text) {
  for (const absl::string_view key : {"from", "to", "step"}) {
    for (size_t at = text.find(key); at != absl::string_view::npos; at = text.find(key, at + 1)) {
      const absl::string_view value =
          absl::StripLeadingAsciiWhitespace(absl::StripPrefix(text.substr(at + key.size()), ":"));
      if (value.substr(0, 3).find_first_of(",} \n") == absl::string_view::npos) return true;
    }
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  if (size > kBytesMax || HasLongRange(text)) return 0;
  const auto sweep = modlab::ParseSweep(text, "fuzz.yaml");
  if (!sweep.ok()) {
    MODLAB_EXPECT(!absl::IsInternal(sweep.status()));
    MODLAB_EXPECT(absl::StartsWith(std::string(sweep.status().message()), "fuzz.yaml"));
    return 0;
  }
  MODLAB_EXPECT(!sweep->jobs.empty());
  std::set<std::string> keys;
  for (const modlab::v1::JobConfig& job : sweep->jobs) {
    if (keys.size() == kCheckedJobsMax) break;
    const auto again = modlab::Canonicalise(job);
    MODLAB_EXPECT(again.ok());
    MODLAB_EXPECT(keys.insert(modlab::JobKey(*again)).second);
  }
  return 0;
}
