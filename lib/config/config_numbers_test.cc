#include "lib/config/config_numbers.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "lib/config/config_fixture.h"
#include "lib/config/fields.h"

namespace modlab {
namespace {

TEST(ConfigNumbers, AreThoseOfTheMessage) {
  const auto* type = v1::JobConfig::descriptor();
  for (const char* text : {"", "architecture: MHA model_seed: 4294967295",
                           "architecture: RNN learning_rate: 0.3", "scorer: SEPARATE"}) {
    const v1::JobConfig config = Canonical(Config(text));
    const std::optional<ConfigNumbers> read = ConfigNumbers::Read(config.SerializeAsString());
    ASSERT_TRUE(read.has_value());
    const ConfigNumbers made(config);
    for (int i = 0; i < type->field_count(); ++i) {
      const auto* field = type->field(i);
      ASSERT_LT(field->number(), ConfigNumbers::kFieldsEnd) << "make room for " << field->name();
      EXPECT_EQ((*read)[field->number()], FieldValue(config, field)) << field->name();
      EXPECT_EQ(made[field->number()], FieldValue(config, field)) << field->name();
      EXPECT_EQ(read->has(field->number()), config.GetReflection()->HasField(config, field));
      EXPECT_EQ(made.has(field->number()), read->has(field->number()));
    }
  }
}

TEST(ConfigNumbers, FieldsOfANewerVersionAreSkipped) {
  v1::JobConfig config = Canonical(Config(""));
  config.GetReflection()->MutableUnknownFields(&config)->AddVarint(31, 7);
  config.GetReflection()->MutableUnknownFields(&config)->AddLengthDelimited(900, "text");
  const auto read = ConfigNumbers::Read(config.SerializeAsString());
  ASSERT_TRUE(read.has_value());
  EXPECT_FALSE(read->has(31));
  EXPECT_EQ((*read)[v1::JobConfig::kRulesFieldNumber], config.rules());
}

TEST(ConfigNumbers, WhatIsNoConfigIsNone) {
  const std::string config = Canonical(Config("learning_rate: 0.3")).SerializeAsString();
  EXPECT_FALSE(ConfigNumbers::Read(config.substr(0, config.size() - 1)).has_value());
  EXPECT_FALSE(ConfigNumbers::Read("\xff\xff").has_value());
}

}  // namespace
}  // namespace modlab
