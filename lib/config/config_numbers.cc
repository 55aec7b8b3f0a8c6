#include "lib/config/config_numbers.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstring>

#include "lib/config/fields.h"

namespace modlab {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;

// The type of each field by its number; 0: there is none.
const std::array<int, ConfigNumbers::kFieldsEnd>& Types() {
  static const auto* const types = [] {
    auto* all = new std::array<int, ConfigNumbers::kFieldsEnd>{};
    const auto* type = v1::JobConfig::descriptor();
    for (int i = 0; i < type->field_count(); ++i) {
      all->at(static_cast<size_t>(type->field(i)->number())) = type->field(i)->cpp_type();
    }
    return all;
  }();
  return *types;
}

}  // namespace

ConfigNumbers::ConfigNumbers(const v1::JobConfig& config) {
  const auto* type = v1::JobConfig::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (config.GetReflection()->HasField(config, field)) {
      Set(field->number(), FieldValue(config, field));
    }
  }
}

std::optional<ConfigNumbers> ConfigNumbers::Read(absl::string_view serialised) {
  ConfigNumbers numbers;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(serialised.data()),
                                            static_cast<int>(serialised.size()));
  while (const uint32_t tag = in.ReadTag()) {
    const auto field = static_cast<int>(tag >> 3);
    const auto wire = static_cast<WireFormatLite::WireType>(tag & 7);
    const int type = field < kFieldsEnd ? Types()[static_cast<size_t>(field)] : 0;
    uint64_t bits = 0;
    if (type == FieldDescriptor::CPPTYPE_DOUBLE && wire == WireFormatLite::WIRETYPE_FIXED64) {
      if (!in.ReadLittleEndian64(&bits)) return std::nullopt;
      double value = 0;
      std::memcpy(&value, &bits, sizeof(value));
      numbers.Set(field, value);
    } else if (type != 0 && type != FieldDescriptor::CPPTYPE_DOUBLE &&
               wire == WireFormatLite::WIRETYPE_VARINT) {
      if (!in.ReadVarint64(&bits)) return std::nullopt;
      numbers.Set(field, type == FieldDescriptor::CPPTYPE_INT64
                             ? static_cast<double>(static_cast<int64_t>(bits))
                             : static_cast<double>(static_cast<int32_t>(bits)));
    } else if (!WireFormatLite::SkipField(&in, tag)) {
      return std::nullopt;
    }
  }
  if (!in.ConsumedEntireMessage()) return std::nullopt;
  return numbers;
}

}  // namespace modlab
