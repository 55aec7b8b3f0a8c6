// Text of bounded size.

#ifndef MODLAB_LIB_CONFIG_UTF8_H_
#define MODLAB_LIB_CONFIG_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace modlab {

// The start of UTF-8 `text`, of at most `bytes_max` bytes, cut between characters.
// Pure; refers to `text`.
inline absl::string_view CutUtf8(absl::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t size = bytes_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_UTF8_H_
