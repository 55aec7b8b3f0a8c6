// Columns of numbers as few bytes, exactly.
//
// Integers by the change of their steps, so that what grows evenly costs a few bytes
// however long it is. Doubles and floats by the bits in which they differ from an earlier
// one, in half a byte that says which bytes follow, and those bytes: what was measured
// one after another has its sign, its exponent and more in common, and a double that was a
// float has its last three bytes empty. Presence (which of some things are there) by runs.
//
// Each Append...() adds to a string what the Read...() of its name takes from a reader.
// A reader refuses whatever is damaged: it fails, for good, and never reads or allocates
// beyond what its bytes can hold.
//
// Pure; a reader belongs to one thread and must not outlive its bytes.

#ifndef MODLAB_SERVER_STORE_COLUMNS_H_
#define MODLAB_SERVER_STORE_COLUMNS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace modlab {

void AppendNumber(uint64_t value, std::string* out);
void AppendIntegers(const std::vector<int64_t>& values, std::string* out);
void AppendPresence(const std::vector<bool>& there, std::string* out);
// Each differs from the one before.
void AppendDoubles(const std::vector<double>& values, std::string* out);
// Each differs from the one `period` before it, the first ones from 0; all of them, if it is 0.
void AppendFloats(const std::vector<float>& values, size_t period, std::string* out);

class ColumnReader {
 public:
  explicit ColumnReader(absl::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  // All was read, and nothing failed.
  bool done() const { return ok_ && bytes_.empty(); }
  size_t bytes_left() const { return bytes_.size(); }

  // 0, nothing and empty columns once it has failed.
  uint64_t ReadNumber();
  // `count` values each, in place of what is in `out`. Counts come from ReadNumber() too:
  // the caller has checked that they are sensible.
  void ReadIntegers(size_t count, std::vector<int64_t>* out);
  void ReadPresence(size_t count, std::vector<bool>* out);
  void ReadDoubles(size_t count, std::vector<double>* out);
  void ReadFloats(size_t count, size_t period, std::vector<float>* out);
  // The next bytes as a reader of their own; this one goes on behind them.
  ColumnReader Part(uint64_t bytes);

 private:
  absl::string_view Take(uint64_t bytes);
  void Fail();
  template <typename Word, typename Value>
  void ReadWords(size_t count, size_t period, std::vector<Value>* out);

  absl::string_view bytes_;
  bool ok_ = true;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_COLUMNS_H_
