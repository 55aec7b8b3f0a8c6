#include "server/query/job_groups.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "lib/config/words.h"

namespace modlab {

using google::protobuf::FieldDescriptor;

absl::StatusOr<GroupFields> GroupFields::Parse(
    const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (names.size() > kFieldsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("group_by: at most ", kFieldsMax, " fields, not ", names.size()));
  }
  GroupFields result;
  for (const std::string& name : names) {
    absl::Status status = CheckJobField(name, "group_by");
    if (!status.ok()) return status;
    const FieldDescriptor* field = v1::JobConfig::descriptor()->FindFieldByName(name);
    if (std::find(result.fields_.begin(), result.fields_.end(), field) != result.fields_.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("group_by: \"", name, "\" stands there twice; each field may once"));
    }
    result.Add(field);
  }
  return result;
}

GroupFields GroupFields::AllBut(const std::set<std::string>& left_out) {
  GroupFields result;
  for (const std::string& name : JobFieldNames()) {
    if (left_out.count(name) > 0) continue;
    result.Add(v1::JobConfig::descriptor()->FindFieldByName(name));
  }
  return result;
}

void GroupFields::Add(const FieldDescriptor* field) {
  if (field->number() == v1::JobConfig::kModelFieldNumber) {
    model_index_ = static_cast<int>(fields_.size());
  }
  names_.emplace_back(field->name());
  fields_.push_back(field);
}

void GroupFields::ReadKey(const ConfigNumbers& canonical, GroupKey* key) const {
  key->clear();
  for (const FieldDescriptor* field : fields_) key->push_back(canonical[field->number()]);
}

std::vector<std::string> GroupFields::Words(const GroupKey& key,
                                            const v1::JobConfig& member) const {
  std::vector<std::string> words;
  words.reserve(fields_.size());
  for (size_t i = 0; i < fields_.size(); ++i) {
    const bool is_random = static_cast<int>(i) == model_index_ && key[i] == kRandomModel;
    words.push_back(is_random ? "random" : JobFieldWord(member, names_[i]));
  }
  return words;
}

}  // namespace modlab
