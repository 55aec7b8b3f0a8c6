// Where calls come in: each is put to Access before its handler hears of it.

#ifndef MODLAB_SERVER_SERVICES_CALL_GUARD_H_
#define MODLAB_SERVER_SERVICES_CALL_GUARD_H_

#include <string>

#include "grpcpp/security/auth_metadata_processor.h"
#include "grpcpp/server_context.h"
#include "server/access/access.h"

namespace modlab {

// gRPC asks it once a call has its headers, and reads no more of one that is
// refused. Thread-safe. `access` must outlive it.
class CallGuard final : public grpc::AuthMetadataProcessor {
 public:
  explicit CallGuard(Access* access) : access_(access) {}

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  Access* const access_;
};

// What the call carries as "authorization"; "" for nothing.
std::string AuthorizationOf(const grpc::CallbackServerContext& context);

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_CALL_GUARD_H_
