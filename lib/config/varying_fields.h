// Which fields are not the same in all of some jobs: what a table of them has to
// show, or a mean over them hides.

#ifndef MODLAB_LIB_CONFIG_VARYING_FIELDS_H_
#define MODLAB_LIB_CONFIG_VARYING_FIELDS_H_

#include <bitset>
#include <optional>
#include <string>
#include <vector>

#include "lib/config/config_numbers.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Not thread-safe.
class VaryingFields {
 public:
  // `canonical` must come from Canonicalise().
  void Add(const ConfigNumbers& canonical);
  void Add(const v1::JobConfig& canonical) { Add(ConfigNumbers(canonical)); }

  // By field number. Fields that have their defaults in all jobs are not among them,
  // whatever these defaults are: they follow from others.
  std::vector<std::string> Names() const;

  // The first job's. There must be one.
  const ConfigNumbers& first() const { return *first_; }

 private:
  std::optional<ConfigNumbers> first_;
  std::bitset<ConfigNumbers::kFieldsEnd> varies_;  // by the number of a field
};

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_VARYING_FIELDS_H_
