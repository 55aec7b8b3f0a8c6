#include "lib/weights/state_dict.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/weights/state_dict_pickler.h"
#include "lib/weights/state_dict_unpickler.h"
#include "lib/weights/zip_archive.h"

namespace modlab {
namespace {

constexpr absl::string_view kZipMagic = "PK\x03\x04";
// A pickled number that every file of PyTorch before 1.6 begins with.
constexpr absl::string_view kOldMagic = "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.";
constexpr char kVersion[] = "3\n";  // of PyTorch's files since 1.6

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("not a readable state_dict: ", what));
}

template <typename T>
T Load(const char* bytes) {
  T number;
  std::memcpy(&number, bytes, sizeof(T));
  return number;
}

float FromDouble(const char* bytes) { return static_cast<float>(Load<double>(bytes)); }

float FromBFloat16(const char* bytes) {  // the upper half of a float
  const uint32_t bits = static_cast<uint32_t>(Load<uint16_t>(bytes)) << 16;
  return Load<float>(reinterpret_cast<const char*>(&bits));
}

float FromHalf(const char* bytes) {  // 1 bit of sign, 5 of exponent, 10 of fraction
  const uint16_t bits = Load<uint16_t>(bytes);
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  float size;
  if (exponent == 0x1f) {
    size = fraction == 0 ? std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    size = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    size = std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -size : size;
}

struct NumberFormat {
  int64_t bytes;
  float (*load)(const char* bytes);
};

NumberFormat FormatOf(StorageType type) {
  switch (type) {
    case StorageType::kDouble:
      return {8, FromDouble};
    case StorageType::kHalf:
      return {2, FromHalf};
    case StorageType::kBFloat16:
      return {2, FromBFloat16};
    case StorageType::kFloat:
      break;
  }
  return {4, Load<float>};
}

// How many numbers the tensor has; an error if they are more than `limit` or do
// not all lie in its storage.
absl::StatusOr<int64_t> CountNumbers(const TensorView& tensor, int64_t limit) {
  bool empty = false;
  int64_t count = 1;  // as if there were no dimensions of size 0
  int64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    empty = empty || tensor.shape[i] == 0;
    const int64_t extent = std::max<int64_t>(tensor.shape[i], 1);
    count = count > limit / extent ? limit + 1 : count * extent;
    if (extent == 1) continue;
    const bool inside = tensor.strides[i] <= (tensor.storage_size - last) / (extent - 1);
    last = inside ? last + tensor.strides[i] * (extent - 1) : tensor.storage_size;
  }
  if (count > limit) {
    return absl::InvalidArgumentError(absl::StrCat("the tensors up to ", tensor.name,
                                                   " have more numbers than the file has bytes"));
  }
  if (empty) return 0;
  if (last >= tensor.storage_size) {
    return absl::InvalidArgumentError(absl::StrCat(tensor.name, ": reaches beyond its storage of ",
                                                   tensor.storage_size, " numbers"));
  }
  return count;
}

// The `count` numbers of a view that CountNumbers() let pass, row by row.
std::vector<float> Gather(const TensorView& tensor, const std::string& storage, int64_t count) {
  const NumberFormat format = FormatOf(tensor.type);
  std::vector<float> values;
  values.reserve(static_cast<size_t>(count));
  std::vector<int64_t> index(tensor.shape.size(), 0);
  int64_t position = tensor.offset;
  while (static_cast<int64_t>(values.size()) < count) {
    values.push_back(format.load(storage.data() + position * format.bytes));
    for (size_t i = index.size(); i-- > 0;) {
      if (++index[i] < tensor.shape[i]) {
        position += tensor.strides[i];
        break;
      }
      position -= tensor.strides[i] * (tensor.shape[i] - 1);
      index[i] = 0;
    }
  }
  return values;
}

absl::StatusOr<TensorFile> Decode(absl::string_view bytes) {
  auto archive = ZipReader::Open(bytes);
  if (!archive.ok()) return archive.status();
  const std::string first = archive->FirstName();
  const std::string folder = first.substr(0, first.find('/') + 1);
  if (archive->Has(folder + "byteorder")) {
    const auto order = archive->Read(folder + "byteorder");
    if (!order.ok()) return order.status();
    if (*order != "little") return absl::InvalidArgumentError("its numbers are not little-endian");
  }
  const auto pickle = archive->Read(folder + "data.pkl");
  if (!pickle.ok()) return pickle.status();
  const auto tensors = UnpickleStateDict(*pickle);
  if (!tensors.ok()) return tensors.status();

  TensorFile file;
  std::map<std::string, std::string> storages;
  auto unused = static_cast<int64_t>(bytes.size());
  for (const TensorView& tensor : *tensors) {
    if (storages.count(tensor.storage) == 0) {
      auto storage = archive->Read(absl::StrCat(folder, "data/", tensor.storage));
      if (!storage.ok()) return storage.status();
      storages[tensor.storage] = *std::move(storage);
    }
    const std::string& storage = storages[tensor.storage];
    const int64_t number_bytes = FormatOf(tensor.type).bytes;
    const auto storage_bytes = static_cast<int64_t>(storage.size());
    if (storage_bytes % number_bytes != 0 || storage_bytes / number_bytes != tensor.storage_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(tensor.name, ": its storage has ", storage_bytes, " bytes, not ",
                       tensor.storage_size, " numbers of ", number_bytes, " bytes"));
    }
    const auto count = CountNumbers(tensor, unused);
    if (!count.ok()) return count.status();
    unused -= *count;
    file.tensors.push_back({tensor.name, tensor.shape, Gather(tensor, storage, *count)});
  }
  return file;
}

}  // namespace

absl::StatusOr<std::string> EncodeStateDict(const TensorFile& file) {
  const std::string pickle = PickleStateDict(file.tensors);
  std::vector<ZipEntry> entries = {{"archive/data.pkl", pickle}};
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const std::vector<float>& values = file.tensors[i].values;
    entries.push_back(
        {absl::StrCat("archive/data/", i),
         {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}});
  }
  entries.push_back({"archive/version", kVersion});
  return WriteZip(entries);
}

absl::StatusOr<TensorFile> DecodeStateDict(absl::string_view bytes) {
  if (absl::StartsWith(bytes, kOldMagic)) {
    return Malformed(
        "it is of the format before PyTorch 1.6; save it again with a newer PyTorch: "
        "torch.save(torch.load('old.pt', map_location='cpu'), 'new.pt')");
  }
  if (!absl::StartsWith(bytes, kZipMagic)) return Malformed("it does not begin as a zip archive");
  auto file = Decode(bytes);
  if (!file.ok()) return Malformed(file.status().message());
  return file;
}

bool LooksLikeStateDict(absl::string_view bytes) {
  return absl::StartsWith(bytes, kZipMagic) || absl::StartsWith(bytes, kOldMagic);
}

}  // namespace modlab
