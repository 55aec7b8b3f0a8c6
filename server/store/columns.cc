#include "server/store/columns.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace modlab {
namespace {

// The bytes of a word that follow a code: `bytes` of them, above `shift` empty ones. Code 0
// is an empty word.
struct Code {
  int shift;
  int bytes;
};

template <typename Word>
struct Codes;

template <>
struct Codes<uint64_t> {
  static constexpr std::array<Code, 16> kAll = {{{0, 0},
                                                 {0, 1},
                                                 {0, 2},
                                                 {0, 3},
                                                 {0, 4},
                                                 {0, 5},
                                                 {0, 6},
                                                 {0, 7},
                                                 {0, 8},
                                                 // doubles that were floats
                                                 {3, 1},
                                                 {3, 2},
                                                 {3, 3},
                                                 {3, 4},
                                                 {3, 5},
                                                 {6, 1},
                                                 {6, 2}}};
};

template <>
struct Codes<uint32_t> {
  static constexpr std::array<Code, 16> kAll = {
      {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {1, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 2}, {3, 1}}};
};

// The shortest code of a word, by the number of its empty bytes at the end and of all but
// those at its beginning.
template <typename Word>
class CodeTable {
 public:
  static constexpr int kBytes = sizeof(Word);

  CodeTable() {
    for (int low = 0; low < kBytes; ++low) {
      for (int high = low + 1; high <= kBytes; ++high) {
        int best = kBytes;
        for (int code = 1; code < 16; ++code) {
          const Code& each = Codes<Word>::kAll[static_cast<size_t>(code)];
          if (each.shift > low || each.shift + each.bytes < high || each.bytes > best) continue;
          best = each.bytes;
          codes_[Index(low, high)] = static_cast<uint8_t>(code);
        }
      }
    }
  }

  uint8_t Of(uint64_t word) const {
    if (word == 0) return 0;
    return codes_[Index(__builtin_ctzll(word) / 8, 8 - __builtin_clzll(word) / 8)];
  }

 private:
  static size_t Index(int low, int high) { return static_cast<size_t>(low * 9 + high); }
  std::array<uint8_t, 8 * 9> codes_{};
};

uint64_t Zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}

int64_t Unzigzag(uint64_t value) { return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1)); }

// Differences may overflow in what a damaged file says: they wrap around.
int64_t Plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t Minus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

// Codes, two to a byte, then the bytes that they speak of.
template <typename Word, typename Value>
void AppendWords(const std::vector<Value>& values, size_t period, std::string* out) {
  static_assert(sizeof(Word) == sizeof(Value));
  static const CodeTable<Word>* const table = new CodeTable<Word>();
  const size_t codes = out->size();
  const size_t count = values.size();
  // At most this; cut to what was used below.
  out->resize(codes + (count + 1) / 2 + count * sizeof(Word) + sizeof(uint64_t), '\0');
  char* next = &(*out)[codes + (count + 1) / 2];
  for (size_t i = 0; i < count; ++i) {
    Word word = 0;
    std::memcpy(&word, &values[i], sizeof(word));
    if (period > 0 && i >= period) {
      Word before = 0;
      std::memcpy(&before, &values[i - period], sizeof(before));
      word ^= before;
    }
    const uint8_t code = table->Of(word);
    const Code& chosen = Codes<Word>::kAll[code];
    (*out)[codes + i / 2] |= static_cast<char>(i % 2 == 0 ? code : code << 4);
    const uint64_t bytes = uint64_t{word} >> (8 * chosen.shift);
    std::memcpy(next, &bytes, sizeof(bytes));
    next += chosen.bytes;
  }
  out->resize(static_cast<size_t>(next - out->data()));
}

}  // namespace

void AppendNumber(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

// (change of the step, how often in a row), ...
void AppendIntegers(const std::vector<int64_t>& values, std::string* out) {
  int64_t before = 0;
  int64_t step = 0;
  for (size_t i = 0; i < values.size();) {
    const int64_t change = Minus(Minus(values[i], before), step);
    uint64_t row = 0;
    for (; i < values.size() && Minus(Minus(values[i], before), step) == change; ++i, ++row) {
      step = Minus(values[i], before);
      before = values[i];
    }
    AppendNumber(Zigzag(change), out);
    AppendNumber(row, out);
  }
}

// So many are there, so many are not, ...
void AppendPresence(const std::vector<bool>& there, std::string* out) {
  bool looked_for = true;
  for (size_t i = 0; i < there.size(); looked_for = !looked_for) {
    uint64_t row = 0;
    for (; i < there.size() && there[i] == looked_for; ++i) ++row;
    AppendNumber(row, out);
  }
}

void AppendDoubles(const std::vector<double>& values, std::string* out) {
  AppendWords<uint64_t>(values, 1, out);
}

void AppendFloats(const std::vector<float>& values, size_t period, std::string* out) {
  AppendWords<uint32_t>(values, period, out);
}

void ColumnReader::Fail() {
  ok_ = false;
  bytes_ = {};
}

absl::string_view ColumnReader::Take(uint64_t bytes) {
  if (bytes > bytes_.size()) {
    Fail();
    return {};
  }
  const absl::string_view taken = bytes_.substr(0, bytes);
  bytes_.remove_prefix(bytes);
  return taken;
}

ColumnReader ColumnReader::Part(uint64_t bytes) {
  ColumnReader part(Take(bytes));
  part.ok_ = ok_;
  return part;
}

uint64_t ColumnReader::ReadNumber() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (bytes_.empty()) break;
    const auto byte = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    value |= uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return value;
  }
  Fail();
  return 0;
}

void ColumnReader::ReadIntegers(size_t count, std::vector<int64_t>* out) {
  out->clear();
  int64_t before = 0;
  int64_t step = 0;
  while (ok_ && out->size() < count) {
    const int64_t change = Unzigzag(ReadNumber());
    const uint64_t row = ReadNumber();
    if (row == 0 || row > count - out->size()) return Fail();
    for (uint64_t i = 0; i < row; ++i) {
      step = Plus(step, change);
      before = Plus(before, step);
      out->push_back(before);
    }
  }
}

void ColumnReader::ReadPresence(size_t count, std::vector<bool>* out) {
  out->clear();
  bool there = true;
  for (bool first = true; ok_ && out->size() < count; first = false, there = !there) {
    const uint64_t row = ReadNumber();
    if ((row == 0 && !first) || row > count - out->size()) return Fail();
    out->insert(out->end(), row, there);
  }
}

template <typename Word, typename Value>
void ColumnReader::ReadWords(size_t count, size_t period, std::vector<Value>* out) {
  out->clear();
  // A value has half a byte at least.
  if (!ok_ || count > 2 * bytes_.size()) return count == 0 ? void() : Fail();
  const absl::string_view codes = Take((count + 1) / 2);
  out->resize(count);
  size_t used = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto pair = static_cast<uint8_t>(codes[i / 2]);
    const Code& code = Codes<Word>::kAll[i % 2 == 0 ? pair & 15 : pair >> 4];
    const auto bytes = static_cast<size_t>(code.bytes);
    if (bytes > bytes_.size() - used) return Fail();
    Word word = 0;
    std::memcpy(&word, bytes_.data() + used, bytes);
    used += bytes;
    word = static_cast<Word>(word << (8 * code.shift));
    if (period > 0 && i >= period) {
      Word before = 0;
      std::memcpy(&before, &(*out)[i - period], sizeof(before));
      word ^= before;
    }
    std::memcpy(&(*out)[i], &word, sizeof(word));
  }
  bytes_.remove_prefix(used);
}

void ColumnReader::ReadDoubles(size_t count, std::vector<double>* out) {
  ReadWords<uint64_t>(count, 1, out);
}

void ColumnReader::ReadFloats(size_t count, size_t period, std::vector<float>* out) {
  ReadWords<uint32_t>(count, period, out);
}

}  // namespace modlab
