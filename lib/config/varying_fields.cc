#include "lib/config/varying_fields.h"

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "lib/config/fields.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

void VaryingFields::Add(const ConfigNumbers& canonical) {
  if (!first_) {
    first_ = canonical;
    return;
  }
  for (int field = 0; field < ConfigNumbers::kFieldsEnd; ++field) {
    if ((*first_)[field] == canonical[field] || varies_[static_cast<size_t>(field)]) continue;
    varies_[static_cast<size_t>(field)] =
        !IsDefault(*first_, field) || !IsDefault(canonical, field);
  }
}

std::vector<std::string> VaryingFields::Names() const {
  std::vector<std::string> names;
  for (const std::string& name : JobFieldNames()) {
    const auto* field = v1::JobConfig::descriptor()->FindFieldByName(name);
    if (varies_[static_cast<size_t>(field->number())]) names.push_back(name);
  }
  return names;
}

}  // namespace modlab
