// Addresses to listen at, and page tokens: short texts from command lines and calls.

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "server/services/listen_address.h"
#include "server/store/page_token.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto address = modlab::ParseListenAddress(text);
  if (address.ok()) {
    const auto again = modlab::ParseListenAddress(address->ToString());
    MODLAB_EXPECT(again.ok());
    MODLAB_EXPECT(again->ToString() == address->ToString());
    MODLAB_EXPECT(again->is_local() == address->is_local());
  }
  const auto id = modlab::ParsePageToken(text);
  if (id.ok() && *id != 0) MODLAB_EXPECT(modlab::MakePageToken(*id) == text);
  return 0;
}
