// Filters as users write them: a line for each, "field=value,value".

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "lib/config/job_config.h"
#include "server/store/job_filter.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace v1 = modlab::v1;
  static const v1::JobConfig* const config = [] {
    v1::JobConfig job;
    job.set_architecture(v1::MLP);
    job.set_target(v1::REGRESSION);
    job.set_rules(4);
    job.set_model(v1::MODULAR);
    return new v1::JobConfig(modlab::Canonicalise(job).value());
  }();

  std::vector<v1::FieldFilter> filters;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(reinterpret_cast<const char*>(data), size), '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    v1::FieldFilter& filter = filters.emplace_back();
    filter.set_field(std::string(parts.first));
    for (const absl::string_view value : absl::StrSplit(parts.second, ',')) {
      filter.add_values(std::string(value));
    }
  }
  const auto filter = modlab::JobFilter::Parse(filters);
  if (!filter.ok()) {
    MODLAB_EXPECT(absl::IsInvalidArgument(filter.status()));
    return 0;
  }
  MODLAB_EXPECT(filter->id_min() >= 1);
  MODLAB_EXPECT(filter->id_min() <= filter->id_max());
  filter->MatchesConfig(modlab::ConfigNumbers(*config));
  filter->MatchesId(filter->id_min());
  return 0;
}
