#include "lib/weights/state_dict_pickler.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/weights/pickle_words.h"

namespace modlab {
namespace {

using namespace pickle;

void Append(Opcode opcode, std::string* pickle) { pickle->push_back(static_cast<char>(opcode)); }

void AppendBytes(uint64_t number, unsigned bytes, std::string* pickle) {
  for (unsigned i = 0; i < bytes; ++i) {
    pickle->push_back(static_cast<char>((number >> (8 * i)) & 0xff));
  }
}

void AppendInteger(int64_t number, std::string* pickle) {
  const bool is_short = number <= std::numeric_limits<int32_t>::max();
  Append(is_short ? kBinInt : kLong1, pickle);
  if (!is_short) AppendBytes(sizeof(number), 1, pickle);
  AppendBytes(static_cast<uint64_t>(number), is_short ? 4 : sizeof(number), pickle);
}

void AppendIntegers(const std::vector<int64_t>& numbers, std::string* pickle) {
  Append(kMark, pickle);
  for (int64_t number : numbers) AppendInteger(number, pickle);
  Append(kTuple, pickle);
}

void AppendText(absl::string_view text, std::string* pickle) {
  Append(kBinUnicode, pickle);
  AppendBytes(text.size(), 4, pickle);
  absl::StrAppend(pickle, text);
}

void AppendGlobal(const char* name, std::string* pickle) {
  Append(kGlobal, pickle);
  absl::StrAppend(pickle, name);
}

void AppendOrderedDict(std::string* pickle) {
  AppendGlobal(kOrderedDict, pickle);
  Append(kEmptyTuple, pickle);
  Append(kReduce, pickle);
}

void AppendTensor(const NamedArray& array, size_t key, std::string* pickle) {
  std::vector<int64_t> strides(array.shape.size());
  int64_t stride = 1;
  for (size_t i = strides.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<int64_t>(array.shape[i], 1);
  }
  AppendGlobal(kRebuildTensor, pickle);
  Append(kMark, pickle);
  Append(kMark, pickle);
  AppendText("storage", pickle);
  AppendGlobal(kFloatStorage, pickle);
  AppendText(absl::StrCat(key), pickle);
  AppendText("cpu", pickle);
  AppendInteger(static_cast<int64_t>(array.values.size()), pickle);
  Append(kTuple, pickle);
  Append(kBinPersId, pickle);
  AppendInteger(0, pickle);  // offset
  AppendIntegers(array.shape, pickle);
  AppendIntegers(strides, pickle);
  Append(kNewFalse, pickle);  // requires_grad
  AppendOrderedDict(pickle);  // hooks
  Append(kTuple, pickle);
  Append(kReduce, pickle);
}

}  // namespace

std::string PickleStateDict(const std::vector<NamedArray>& tensors) {
  std::string pickle;
  Append(kProto, &pickle);
  AppendBytes(2, 1, &pickle);
  AppendOrderedDict(&pickle);
  Append(kMark, &pickle);
  for (size_t i = 0; i < tensors.size(); ++i) {
    AppendText(tensors[i].name, &pickle);
    AppendTensor(tensors[i], i, &pickle);
  }
  Append(kSetItems, &pickle);
  Append(kStop, &pickle);
  return pickle;
}

}  // namespace modlab
