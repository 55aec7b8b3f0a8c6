#include "lib/config/varying_fields.h"

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "lib/config/fields.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

void VaryingFields::Add(const v1::JobConfig& canonical) {
  const auto* type = v1::JobConfig::descriptor();
  if (!first_) {
    first_ = canonical;
    varies_.resize(static_cast<size_t>(type->field_count()), false);
    return;
  }
  for (int i = 0; i < type->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = type->field(i);
    if (varies_[static_cast<size_t>(i)]) continue;
    if (FieldValue(*first_, field) == FieldValue(canonical, field)) continue;
    const std::string name(field->name());
    varies_[static_cast<size_t>(i)] = !IsDefault(*first_, name) || !IsDefault(canonical, name);
  }
}

std::vector<std::string> VaryingFields::Names() const {
  std::vector<std::string> names;
  for (const std::string& name : JobFieldNames()) {
    if (!first_) break;
    const auto* field = v1::JobConfig::descriptor()->FindFieldByName(name);
    if (varies_[static_cast<size_t>(field->index())]) names.push_back(name);
  }
  return names;
}

}  // namespace modlab
