#include "server/query/matching.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "lib/config/config_numbers.h"
#include "lib/config/fields.h"
#include "lib/config/job_config.h"
#include "lib/config/words.h"

namespace modlab {
namespace {

std::vector<std::string> Following(const std::set<std::string>& fields) {
  const std::set<std::string> names = FollowingFields(fields);
  return {names.begin(), names.end()};
}

}  // namespace

Matching::Matching(std::set<std::string> left_out)
    : following_(Following(left_out)), left_out_(std::move(left_out)) {
  left_out_.insert(following_.begin(), following_.end());
}

Matching::Place Matching::Add(const v1::JobConfig& canonical) {
  Variant variant;
  variant.base = bases_.try_emplace(PairingKey(canonical, left_out_), bases_.size()).first->second;
  std::string key = absl::StrCat(variant.base);
  const ConfigNumbers numbers(canonical);
  for (const std::string& field : following_) {
    const int number = v1::JobConfig::descriptor()->FindFieldByName(field)->number();
    variant.words.push_back(JobFieldWord(canonical, field));
    variant.defaults.push_back(IsDefault(numbers, number));
    absl::StrAppend(&key, variant.defaults.back() ? "\n" : "\n=", variant.words.back());
  }
  const size_t base = variant.base;
  const auto [at, is_new] = variant_numbers_.try_emplace(std::move(key), variants_.size());
  if (is_new) variants_.push_back(std::move(variant));
  return {base, at->second};
}

std::vector<std::string> Matching::Choices(const Variant& variant,
                                           const std::set<std::string>* chosen) const {
  std::vector<std::string> choices;
  for (size_t i = 0; i < following_.size(); ++i) {
    std::string choice = absl::StrCat(following_[i], "=", variant.words[i]);
    const bool is_choice = !variant.defaults[i] || (chosen != nullptr && chosen->count(choice) > 0);
    if (is_choice) choices.push_back(std::move(choice));
  }
  return choices;
}

std::vector<Matching::Setting> Matching::Settings() const {
  std::vector<std::vector<size_t>> by_base(bases_.size());
  for (size_t i = 0; i < variants_.size(); ++i) by_base[variants_[i].base].push_back(i);
  std::vector<Setting> settings;
  for (size_t base = 0; base < by_base.size(); ++base) {
    std::set<std::string> chosen;
    // By what its own kind chose, the fewest choices first.
    std::map<std::pair<size_t, std::vector<std::string>>, std::vector<size_t>> kinds;
    for (const size_t i : by_base[base]) {
      std::vector<std::string> choices = Choices(variants_[i], nullptr);
      chosen.insert(choices.begin(), choices.end());
      const size_t count = choices.size();
      kinds[{count, std::move(choices)}].push_back(i);
    }
    std::vector<Setting> of_base;
    std::map<std::vector<std::string>, size_t> known;  // where in of_base
    // Those with the most choices first, so that it is known which of them stay.
    for (auto kind = kinds.rbegin(); kind != kinds.rend(); ++kind) {
      const std::vector<std::string>& choices = kind->first.second;
      bool stays = false;
      for (const size_t i : kind->second) {
        const auto other = known.find(Choices(variants_[i], &chosen));
        if (other == known.end()) {
          stays = true;
        } else {
          of_base[other->second].variants.push_back(i);
        }
      }
      if (!stays) continue;
      known.emplace(choices, of_base.size());
      of_base.push_back({base, choices, kind->second});
    }
    std::reverse(of_base.begin(), of_base.end());
    std::move(of_base.begin(), of_base.end(), std::back_inserter(settings));
  }
  return settings;
}

}  // namespace modlab
