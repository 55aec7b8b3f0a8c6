#include "lib/weights/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace modlab {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kHeaderBytesMax = 100'000'000;  // the format's own limit
constexpr size_t kAlignment = 8;

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("not a readable safetensors file: ", what));
}

// Where a tensor's bytes are, relative to the end of the header.
struct Extent {
  uint64_t begin;
  uint64_t end;
};

absl::StatusOr<std::pair<NamedArray, Extent>> ReadEntry(const std::string& name,
                                                        const nlohmann::json& entry,
                                                        uint64_t data_bytes) {
  try {
    NamedArray array{name, entry.at("shape").get<std::vector<int64_t>>(), {}};
    if (entry.at("dtype").get<std::string>() != "F32") {
      return Malformed(absl::StrCat(name, ": dtype is not F32"));
    }
    const auto offsets = entry.at("data_offsets").get<std::vector<uint64_t>>();
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes) {
      return Malformed(absl::StrCat(name, ": data_offsets lie outside the file"));
    }
    uint64_t numbers = 1;
    for (int64_t extent : array.shape) {
      if (extent < 0 || (extent > 0 && numbers > data_bytes / static_cast<uint64_t>(extent))) {
        return Malformed(absl::StrCat(name, ": shape does not fit the file"));
      }
      numbers *= static_cast<uint64_t>(extent);
    }
    if (numbers * sizeof(float) != offsets[1] - offsets[0]) {
      return Malformed(absl::StrCat(name, ": shape does not fit data_offsets"));
    }
    return std::make_pair(std::move(array), Extent{offsets[0], offsets[1]});
  } catch (const nlohmann::json::exception& error) {
    return Malformed(absl::StrCat(name, ": ", error.what()));
  }
}

}  // namespace

std::string EncodeSafetensors(const TensorFile& file) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  uint64_t offset = 0;
  for (const NamedArray& array : file.tensors) {
    const uint64_t bytes = array.values.size() * sizeof(float);
    header[array.name] = {
        {"dtype", "F32"}, {"shape", array.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');

  std::string bytes(kLengthBytes, '\0');
  for (size_t i = 0; i < kLengthBytes; ++i) {
    bytes[i] = static_cast<char>((text.size() >> (8 * i)) & 0xff);
  }
  bytes += text;
  bytes.reserve(bytes.size() + offset);
  for (const NamedArray& array : file.tensors) {
    bytes.append(reinterpret_cast<const char*>(array.values.data()),
                 array.values.size() * sizeof(float));
  }
  return bytes;
}

absl::StatusOr<TensorFile> DecodeSafetensors(absl::string_view bytes) {
  if (bytes.size() < kLengthBytes) return Malformed("shorter than its header length");
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    header_bytes |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  if (header_bytes > kHeaderBytesMax || header_bytes > bytes.size() - kLengthBytes) {
    return Malformed("header is longer than the file");
  }
  const absl::string_view text = bytes.substr(kLengthBytes, header_bytes);
  const absl::string_view data = bytes.substr(kLengthBytes + header_bytes);
  const auto header = nlohmann::json::parse(text.begin(), text.end(), nullptr,
                                            /*allow_exceptions=*/false);
  if (!header.is_object()) return Malformed("header is not a JSON object");

  TensorFile file;
  std::vector<std::pair<NamedArray, Extent>> entries;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) return Malformed("__metadata__ is not an object");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) return Malformed("__metadata__ has a value that is no string");
        file.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    auto read = ReadEntry(name, entry, data.size());
    if (!read.ok()) return read.status();
    entries.push_back(*std::move(read));
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.second.begin < b.second.begin; });
  uint64_t expected = 0;
  for (auto& [array, extent] : entries) {
    // Without gaps or overlaps, so that a small file cannot ask for much memory.
    if (extent.begin != expected) return Malformed(array.name + ": data overlaps or leaves a gap");
    expected = extent.end;
    array.values.resize((extent.end - extent.begin) / sizeof(float));
    data.copy(reinterpret_cast<char*>(array.values.data()), extent.end - extent.begin,
              extent.begin);
    file.tensors.push_back(std::move(array));
  }
  return file;
}

}  // namespace modlab
