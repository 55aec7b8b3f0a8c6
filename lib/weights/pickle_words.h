// The words of a state_dict's pickle: instructions of Python's pickle protocol 2
// and the Python names that it speaks of. For the pickler and the unpickler.

#ifndef MODLAB_LIB_WEIGHTS_PICKLE_WORDS_H_
#define MODLAB_LIB_WEIGHTS_PICKLE_WORDS_H_

namespace modlab::pickle {

// Named as in Python's pickletools.
enum Opcode : unsigned char {
  kProto = 0x80,
  kStop = '.',
  kMark = '(',
  kNone = 'N',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kBinInt = 'J',
  kLong1 = 0x8a,
  kBinUnicode = 'X',
  kEmptyTuple = ')',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kTuple = 't',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kGlobal = 'c',
  kReduce = 'R',
  kBuild = 'b',
  kBinPersId = 'Q',
};

// As they follow kGlobal: module and name, a line each.
constexpr char kOrderedDict[] = "collections\nOrderedDict\n";
constexpr char kRebuildTensor[] = "torch._utils\n_rebuild_tensor_v2\n";
constexpr char kRebuildParameter[] = "torch._utils\n_rebuild_parameter\n";
constexpr char kFloatStorage[] = "torch\nFloatStorage\n";

}  // namespace modlab::pickle

#endif  // MODLAB_LIB_WEIGHTS_PICKLE_WORDS_H_
