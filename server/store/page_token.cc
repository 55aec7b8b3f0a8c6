#include "server/store/page_token.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/config/words.h"

namespace modlab {

absl::StatusOr<int> CheckPageSize(int page_size) {
  if (page_size == 0) return kPageSizeDefault;
  if (page_size < 1 || page_size > kPageSizeMax) {
    return absl::InvalidArgumentError(absl::StrCat("page_size ", page_size, ": must be 1 to ",
                                                   kPageSizeMax, ", or 0 for ", kPageSizeDefault));
  }
  return page_size;
}

std::string MakePageToken(int64_t last_id) { return absl::StrCat("after-", last_id); }

absl::StatusOr<int64_t> ParsePageToken(absl::string_view token) {
  if (token.empty()) return 0;
  int64_t id = 0;
  absl::string_view digits = token;
  if (!absl::ConsumePrefix(&digits, "after-") || !absl::SimpleAtoi(digits, &id) || id <= 0 ||
      MakePageToken(id) != token) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_token ", QuotedWord(token),
                     ": must be the next_page_token of the page before, or empty"));
  }
  return id;
}

}  // namespace modlab
