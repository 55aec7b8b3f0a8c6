// Protocol buffers in BLOB columns.

#ifndef MODLAB_SERVER_STORE_MESSAGE_BLOB_H_
#define MODLAB_SERVER_STORE_MESSAGE_BLOB_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "server/store/sqlite.h"

namespace modlab {

// Reads `message` from a column of `connection`. INTERNAL: the file is damaged.
inline absl::Status ParseBlob(const Connection& connection, absl::string_view blob,
                              google::protobuf::Message* message) {
  if (message->ParseFromArray(blob.data(), static_cast<int>(blob.size()))) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(connection.path(), " is damaged: a ",
                                          message->GetDescriptor()->full_name(),
                                          " in it cannot be read"));
}

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_MESSAGE_BLOB_H_
