#include "lib/config/varying_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/config/config_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(VaryingFields, AreNamedByNumber) {
  VaryingFields fields;
  EXPECT_THAT(fields.Names(), IsEmpty());
  fields.Add(Canonical(Config("")));
  fields.Add(Canonical(Config("")));
  EXPECT_THAT(fields.Names(), IsEmpty());
  fields.Add(Canonical(Config("scorer: SEPARATE")));
  fields.Add(Canonical(Config("data_seed: 3")));
  EXPECT_THAT(fields.Names(), ElementsAre("data_seed", "scorer"));
  EXPECT_EQ(fields.first()[v1::JobConfig::kDataSeedFieldNumber], 0);
}

TEST(VaryingFields, WhatFollowsFromOthersIsNotNamedBesideThem) {
  VaryingFields fields;
  fields.Add(Canonical(Config("architecture: MHA")));
  fields.Add(Canonical(Config("architecture: MHA rules: 4")));
  fields.Add(Canonical(Config("architecture: MHA", v1::MONOLITHIC)));
  EXPECT_THAT(fields.Names(), ElementsAre("rules", "model"));
  fields.Add(Canonical(Config("architecture: MHA heads: 4")));
  EXPECT_THAT(fields.Names(), ElementsAre("rules", "model", "heads"));
}

}  // namespace
}  // namespace modlab
