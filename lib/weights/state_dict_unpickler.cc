#include "lib/weights/state_dict_unpickler.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <set>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/weights/pickle_words.h"

namespace modlab {
namespace {

using namespace pickle;

constexpr size_t kPickleBytesMax = 16 << 20;
constexpr size_t kValuesMax = 2 << 20;  // ever pushed or remembered
constexpr size_t kTensorsMax = 65'536;
constexpr size_t kTextMax = 1024;  // characters of a name or key
constexpr size_t kDimensionsMax = 64;

// The names that a pickle may use, as they stand in it; an index into them is
// all that the machine makes of one.
constexpr const char* kGlobals[] = {kOrderedDict,
                                    kRebuildTensor,
                                    kRebuildParameter,
                                    kFloatStorage,
                                    "torch\nDoubleStorage\n",
                                    "torch\nHalfStorage\n",
                                    "torch\nBFloat16Storage\n"};
constexpr int64_t kFirstStorage = 3;  // those from here on, as StorageType counts them

class Machine {
 public:
  explicit Machine(absl::string_view pickle) : rest_(pickle) {}

  absl::StatusOr<std::vector<TensorView>> Run() {
    while (status_.ok()) {
      const auto opcode = static_cast<unsigned char>(Number(1));
      if (opcode == kStop && status_.ok()) return Result();
      if (status_.ok()) Step(opcode);
    }
    return status_;
  }

 private:
  enum class Kind { kConstant, kInteger, kText, kTuple, kDict, kGlobal, kStorage, kTensor };

  // An integer, or the index in the list of its kind. The lists own everything
  // until the end, so that neither depth nor cycles need any care.
  struct Value {
    Kind kind = Kind::kConstant;
    int64_t number = 0;
  };
  using Values = std::vector<Value>;

  struct Storage {
    StorageType type;
    absl::string_view key;
    int64_t size;
  };

  // The first failure is the one that is told; after it, whatever the functions
  // below give is safe to use and leads to nothing.
  void Fail(absl::string_view what) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat("data.pkl: ", what));
  }

  void Count() {
    if (++values_ > kValuesMax) Fail(absl::StrCat("has more than ", kValuesMax, " values"));
  }

  // Bytes of the pickle.

  absl::string_view Take(size_t bytes) {
    if (bytes > rest_.size()) {
      Fail("ends too early");
      return {};
    }
    const absl::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

  uint64_t Number(size_t bytes) {
    uint64_t number = 0;
    unsigned shift = 0;
    for (char byte : Take(bytes)) {
      number |= static_cast<uint64_t>(static_cast<unsigned char>(byte)) << shift;
      shift += 8;
    }
    return number;
  }

  // The same as two's complement; no bytes are 0.
  int64_t SignedNumber(size_t bytes) {
    if (bytes == 0) return 0;
    if (bytes > sizeof(int64_t)) {
      Fail("has an integer of more than 64 bits");
      return 0;
    }
    const size_t unused = 64 - 8 * bytes;
    return static_cast<int64_t>(Number(bytes) << unused) >> unused;
  }

  // The stack.

  void Push(Kind kind, int64_t number) {
    Count();
    if (status_.ok()) stack_.push_back({kind, number});
  }

  template <typename T>
  void PushNew(Kind kind, std::vector<T>* list, T item) {
    Push(kind, static_cast<int64_t>(list->size()));
    if (status_.ok()) list->push_back(std::move(item));
  }

  // The last `count` values, in the order in which they were pushed.
  Values Pop(size_t count) {
    const size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() - floor < count) {
      Fail("takes a value from an empty stack");
      return Values(count);
    }
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    Values popped(first, stack_.end());
    stack_.erase(first, stack_.end());
    return popped;
  }

  Values PopToMark() {
    if (marks_.empty()) {
      Fail("has no MARK where it needs one");
      return {};
    }
    Values popped = Pop(stack_.size() - marks_.back());
    marks_.pop_back();
    return popped;
  }

  // What a value is; a failure if it is something else.

  bool Is(Value value, Kind kind, absl::string_view what) {
    if (value.kind != kind) Fail(absl::StrCat("has something else where ", what, " must be"));
    return status_.ok();
  }
  const Values& Tuple(Value value, size_t size, absl::string_view what) {
    static const Values& none = *new Values(8);
    if (!Is(value, Kind::kTuple, what)) return none;
    const Values& tuple = tuples_[static_cast<size_t>(value.number)];
    if (tuple.size() == size) return tuple;
    Fail(absl::StrCat("has ", tuple.size(), " values in ", what, ", where ", size, " must be"));
    return none;
  }
  int64_t Size(Value value, absl::string_view what) {
    if (!Is(value, Kind::kInteger, what)) return 0;
    if (value.number < 0) Fail(absl::StrCat("has a negative ", what));
    return value.number;
  }
  std::vector<int64_t> Sizes(Value value, absl::string_view what) {
    std::vector<int64_t> sizes;
    if (!Is(value, Kind::kTuple, what)) return sizes;
    const Values& tuple = tuples_[static_cast<size_t>(value.number)];
    if (tuple.size() > kDimensionsMax) {
      Fail(absl::StrCat("has a tensor of more than ", kDimensionsMax, " dimensions"));
      return sizes;
    }
    for (Value size : tuple) sizes.push_back(Size(size, what));
    return sizes;
  }
  absl::string_view Text(Value value, absl::string_view what) {
    return Is(value, Kind::kText, what) ? texts_[static_cast<size_t>(value.number)] : "";
  }

  // The instructions.

  void Step(unsigned char opcode) {
    switch (opcode) {
      case kProto:
        if (const uint64_t version = Number(1); version != 2) {
          Fail(absl::StrCat("is of pickle protocol ", version,
                            "; torch.save's default, 2, is read"));
        }
        return;
      case kMark:
        Count();
        return marks_.push_back(stack_.size());
      case kNone:
      case kNewTrue:
      case kNewFalse:
        return Push(Kind::kConstant, 0);
      case kBinInt1:
        return Push(Kind::kInteger, static_cast<int64_t>(Number(1)));
      case kBinInt2:
        return Push(Kind::kInteger, static_cast<int64_t>(Number(2)));
      case kBinInt:
        return Push(Kind::kInteger, SignedNumber(4));
      case kLong1:
        return Push(Kind::kInteger, SignedNumber(Number(1)));
      case kBinUnicode: {
        const uint64_t size = Number(4);
        if (size > kTextMax) Fail(absl::StrCat("has a text of more than ", kTextMax, " bytes"));
        return PushNew(Kind::kText, &texts_, Take(size));
      }
      case kEmptyTuple:
        return PushNew(Kind::kTuple, &tuples_, Values());
      case kTuple1:
      case kTuple2:
      case kTuple3:
        return PushNew(Kind::kTuple, &tuples_, Pop(opcode - kTuple1 + 1));
      case kTuple:
        return PushNew(Kind::kTuple, &tuples_, PopToMark());
      case kEmptyDict:
        return PushNew(Kind::kDict, &dicts_, Values());
      case kSetItem:
        return SetItems(Pop(2));
      case kSetItems:
        return SetItems(PopToMark());
      case kBinPut:
        return Put(Number(1));
      case kLongBinPut:
        return Put(Number(4));
      case kBinGet:
        return Get(Number(1));
      case kLongBinGet:
        return Get(Number(4));
      case kGlobal:
        return FindGlobal();
      case kReduce:
        return Reduce();
      case kBuild: {  // gives a dict attributes: state_dict()'s _metadata, of no use here
        const Values built = Pop(2);
        Is(built[0], Kind::kDict, "a dict that is given attributes");
        return Push(built[0].kind, built[0].number);
      }
      case kBinPersId:
        return LoadStorage();
      default:
        Fail(absl::StrFormat(
            "has the instruction 0x%02x (%s): a state_dict of tensors needs only dicts, tuples, "
            "texts, integers and tensors",
            opcode, absl::CEscape(std::string(1, static_cast<char>(opcode)))));
    }
  }

  void SetItems(const Values& items) {
    const Value dict = Pop(1)[0];
    if (!Is(dict, Kind::kDict, "the dict of an item")) return;
    if (items.size() % 2 != 0) return Fail("has a key without a value");
    Values& all = dicts_[static_cast<size_t>(dict.number)];
    all.insert(all.end(), items.begin(), items.end());
    Push(dict.kind, dict.number);
  }

  void Put(uint64_t slot) {
    const Value top = Pop(1)[0];
    Count();
    memo_[slot] = top;
    Push(top.kind, top.number);
  }

  void Get(uint64_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) return Fail("recalls a value that it never stored");
    Push(found->second.kind, found->second.number);
  }

  void FindGlobal() {
    const size_t module_end = rest_.find('\n');
    const size_t end = module_end == rest_.npos ? rest_.npos : rest_.find('\n', module_end + 1);
    if (end == rest_.npos) return Fail("ends in the name of a global");
    const absl::string_view name = Take(end + 1);
    for (size_t i = 0; i < std::size(kGlobals); ++i) {
      if (name == kGlobals[i]) return Push(Kind::kGlobal, static_cast<int64_t>(i));
    }
    std::string shown(name.substr(0, std::min(end, kTextMax)));
    std::replace(shown.begin(), shown.end(), '\n', '.');
    Fail(absl::StrCat("uses ", absl::CEscape(shown),
                      ": a state_dict of tensors needs only collections.OrderedDict, "
                      "torch._utils._rebuild_tensor_v2, torch._utils._rebuild_parameter and "
                      "torch.FloatStorage (or Double, Half, BFloat16)"));
  }

  void LoadStorage() {
    const Values& id = Tuple(Pop(1)[0], 5, "a storage's id");
    if (Text(id[0], "the kind of an id") != "storage") Fail("has an id of something but a storage");
    Is(id[1], Kind::kGlobal, "a storage's type");
    if (id[1].number < kFirstStorage) Fail("has something else where a storage's type must be");
    // id[3] is the device that it was on.
    if (!status_.ok()) return;
    PushNew(Kind::kStorage, &storages_,
            {static_cast<StorageType>(id[1].number - kFirstStorage), Text(id[2], "a storage's key"),
             Size(id[4], "size of a storage")});
  }

  void Reduce() {
    const Values call = Pop(2);
    if (!Is(call[0], Kind::kGlobal, "what is called")) return;
    const absl::string_view called = kGlobals[call[0].number];
    if (called == kOrderedDict) {
      Tuple(call[1], 0, "the arguments of OrderedDict");
      return PushNew(Kind::kDict, &dicts_, Values());
    }
    if (called == kRebuildParameter) {
      const Value tensor = Tuple(call[1], 3, "the arguments of _rebuild_parameter")[0];
      Is(tensor, Kind::kTensor, "the tensor of a parameter");
      return Push(tensor.kind, tensor.number);
    }
    if (called == kRebuildTensor) return RebuildTensor(call[1]);
    Fail("calls a storage's type");
  }

  void RebuildTensor(Value arguments) {
    // The storage, offset, shape, strides; requires_grad and hooks do not matter.
    const Values& part = Tuple(arguments, 6, "the arguments of _rebuild_tensor_v2");
    if (!Is(part[0], Kind::kStorage, "a tensor's storage")) return;
    if (tensors_.size() >= kTensorsMax) {
      return Fail(absl::StrCat("has more than ", kTensorsMax, " tensors"));
    }
    const Storage& storage = storages_[static_cast<size_t>(part[0].number)];
    TensorView tensor;
    tensor.type = storage.type;
    tensor.storage = std::string(storage.key);
    tensor.storage_size = storage.size;
    tensor.offset = Size(part[1], "offset of a tensor");
    tensor.shape = Sizes(part[2], "size of a tensor");
    tensor.strides = Sizes(part[3], "stride of a tensor");
    if (tensor.shape.size() != tensor.strides.size()) {
      return Fail("has a tensor with more or fewer strides than dimensions");
    }
    PushNew(Kind::kTensor, &tensors_, std::move(tensor));
  }

  absl::StatusOr<std::vector<TensorView>> Result() {
    std::vector<TensorView> result;
    std::set<absl::string_view> names;
    const Value root = Pop(1)[0];
    if (!Is(root, Kind::kDict, "a state_dict (save model.state_dict())")) return status_;
    const Values& items = dicts_[static_cast<size_t>(root.number)];
    if (items.size() / 2 > kTensorsMax) {
      Fail(absl::StrCat("has more than ", kTensorsMax, " tensors"));
      return status_;
    }
    for (size_t i = 0; i < items.size(); i += 2) {
      const absl::string_view name = Text(items[i], "the name of a tensor");
      const std::string shown = absl::CEscape(name);
      if (!std::all_of(name.begin(), name.end(), absl::ascii_isprint)) {
        Fail(absl::StrCat("has the name '", shown, "', which is not printable ASCII"));
      }
      if (!names.insert(name).second) Fail(absl::StrCat("has the name '", shown, "' twice"));
      if (!Is(items[i + 1], Kind::kTensor,
              absl::StrCat("the tensor '", shown, "' of a state_dict (save model.state_dict())"))) {
        return status_;
      }
      result.push_back(tensors_[static_cast<size_t>(items[i + 1].number)]);
      result.back().name = std::string(name);
    }
    return result;
  }

  absl::string_view rest_;
  absl::Status status_;
  size_t values_ = 0;
  Values stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint64_t, Value> memo_;
  std::vector<absl::string_view> texts_;
  std::vector<Values> tuples_;
  std::vector<Values> dicts_;  // key, value, key, value, ..
  std::vector<Storage> storages_;
  std::vector<TensorView> tensors_;
};

}  // namespace

absl::StatusOr<std::vector<TensorView>> UnpickleStateDict(absl::string_view pickle) {
  if (pickle.size() > kPickleBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.pkl: is longer than ", kPickleBytesMax, " bytes"));
  }
  return Machine(pickle).Run();
}

}  // namespace modlab
