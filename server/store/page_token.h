// Where the next page of a list starts. Opaque to clients.
//
// Pure, thread-safe.

#ifndef MODLAB_SERVER_STORE_PAGE_TOKEN_H_
#define MODLAB_SERVER_STORE_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

inline constexpr int kPageSizeDefault = 100;
inline constexpr int kPageSizeMax = 1000;

// The size to use for the one that was asked for; 0 is the default.
// INVALID_ARGUMENT where it is out of range.
absl::StatusOr<int> CheckPageSize(int page_size);

// `last_id`, above 0, is the last one on the page before.
std::string MakePageToken(int64_t last_id);

// The token's id; 0 for the empty token of a first page. INVALID_ARGUMENT for
// anything else that MakePageToken() did not make.
absl::StatusOr<int64_t> ParsePageToken(absl::string_view token);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_PAGE_TOKEN_H_
