// Which jobs are alike in all that was chosen but some fields: what comparisons
// pair, and what rankings call a setting.

#ifndef MODLAB_SERVER_QUERY_MATCHING_H_
#define MODLAB_SERVER_QUERY_MATCHING_H_

#include <cstddef>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "modlab/v1/job.pb.h"

namespace modlab {

// Jobs that agree in every field but those left out and those that follow from
// these by default ("modules" where "model" is left out) have one base. Of one base,
// two jobs match if each following field has its default in both, or one value in
// both. Not thread-safe.
class Matching {
 public:
  // Numbers from 0, in the order in which they occur.
  struct Place {
    size_t base = 0;
    size_t variant = 0;  // jobs of one variant agree in the following fields too
  };

  // Jobs that match.
  struct Setting {
    size_t base = 0;
    std::vector<std::string> choices;  // "heads=4"; none where all are defaults
    std::vector<size_t> variants;
  };

  explicit Matching(std::set<std::string> left_out);

  // `canonical` must come from Canonicalise().
  Place Add(const v1::JobConfig& canonical);

  // Every variant is in one or two: in that of its own choices, unless all of this
  // kind are in another one too; and, if its defaults are values that others chose,
  // in theirs. By base; those with the fewest choices first.
  std::vector<Setting> Settings() const;

 private:
  struct Variant {
    size_t base = 0;
    // By the place of a field in following_.
    std::vector<std::string> words;
    std::vector<bool> defaults;
  };

  // With `chosen`, what others chose counts as chosen.
  std::vector<std::string> Choices(const Variant& variant,
                                   const std::set<std::string>* chosen) const;

  const std::vector<std::string> following_;
  std::set<std::string> left_out_;  // with the following ones
  std::unordered_map<std::string, size_t> bases_;
  std::unordered_map<std::string, size_t> variant_numbers_;
  std::vector<Variant> variants_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_MATCHING_H_
