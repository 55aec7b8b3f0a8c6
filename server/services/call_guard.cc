#include "server/services/call_guard.h"

#include <map>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/services/status.h"

namespace modlab {
namespace {

using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

absl::string_view Find(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return "";
  return absl::string_view(found->second.data(), found->second.size());
}

}  // namespace

grpc::Status CallGuard::Process(const InputMetadata& metadata, grpc::AuthContext* /*context*/,
                                OutputMetadata* /*consumed*/, OutputMetadata* /*response*/) {
  if (metadata.count("authorization") > 1) {
    return ToGrpcStatus(absl::UnauthenticatedError("a call carries one token, not several"));
  }
  return ToGrpcStatus(
      access_->Check(Find(metadata, ":path"), Find(metadata, "authorization"), absl::Now()));
}

std::string AuthorizationOf(const grpc::CallbackServerContext& context) {
  return std::string(Find(context.client_metadata(), "authorization"));
}

}  // namespace modlab
