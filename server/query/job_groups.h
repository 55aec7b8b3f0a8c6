// The groups that a list of JobConfig fields makes of jobs.

#ifndef MODLAB_SERVER_QUERY_JOB_GROUPS_H_
#define MODLAB_SERVER_QUERY_JOB_GROUPS_H_

#include <cstddef>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/repeated_field.h"
#include "lib/config/config_numbers.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// The values of a group's fields: numbers as they are, enums by number, unset
// as 0. Every value of JobConfig's limits fits a double exactly. Lexicographic
// order is the order in which groups are shown.
using GroupKey = std::vector<double>;

// The "model" of the Random rows: after all models.
inline constexpr double kRandomModel = std::numeric_limits<double>::infinity();

// Immutable once made, so safe from any thread.
class GroupFields {
 public:
  static constexpr int kFieldsMax = 16;

  // INVALID_ARGUMENT: more than kFieldsMax fields, one twice or an unknown one.
  static absl::StatusOr<GroupFields> Parse(
      const google::protobuf::RepeatedPtrField<std::string>& names);

  // Every field of JobConfig less those, by number, however many.
  static GroupFields AllBut(const std::set<std::string>& left_out);

  const std::vector<std::string>& names() const { return names_; }
  // `key` is overwritten, so that one vector serves many jobs.
  void ReadKey(const ConfigNumbers& canonical, GroupKey* key) const;
  // The fields' values as words, of any job of the group; "random" where the
  // key says so.
  std::vector<std::string> Words(const GroupKey& key, const v1::JobConfig& member) const;
  // Where "model" stands in a key; -1 where it does not.
  int model_index() const { return model_index_; }

 private:
  GroupFields() = default;
  void Add(const google::protobuf::FieldDescriptor* field);

  std::vector<std::string> names_;
  std::vector<const google::protobuf::FieldDescriptor*> fields_;
  int model_index_ = -1;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_JOB_GROUPS_H_
