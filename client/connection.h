// Which coordinator a command talks to, and how it calls it.
//
// Thread-safe, but for Open().

#ifndef MODLAB_CLIENT_CONNECTION_H_
#define MODLAB_CLIENT_CONNECTION_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/embedded.h"
#include "rpc/options.h"

namespace modlab {

class Connection {
 public:
  // What the user asked for; at most one of the first two is set.
  struct Choice {
    // HOST:PORT or unix:PATH.
    std::string server;
    std::string data_dir;
    EndpointOptions options = {};
  };
  enum class Store {
    kMustExist,  // a data directory without a store is an error
    kCreate,     // it is made
  };

  // The coordinator at choice.server; else the one of choice.data_dir; else the
  // one that MODLAB_SERVER names; else that of ./modlab-data, if it is there or
  // may be created. The coordinator of a data directory is the one that runs on
  // it, or else an embedded one, which lives as long as the Connection.
  // FAILED_PRECONDITION says what to start where none of these is there. Errors of
  // ReadEndpoint(). Does not yet ask whether a server answers.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const Choice& choice, Store store);
  ~Connection();

  const std::string& address() const { return address_; }
  // What a suggested command needs behind it to talk to the same coordinator:
  // "", " --server ADDR" or " --data-dir DIR", and the flags of TLS and token.
  const std::string& flags() const { return flags_; }
  // "at ADDR" or "in DIR", for messages.
  const std::string& place() const { return place_; }
  // Null where the coordinator is not ours.
  Embedded* embedded() const { return embedded_.get(); }
  // Until this is called, other commands do not use our embedded coordinator:
  // they wait for their turn, as it goes with this command. Call it if that will
  // take long.
  void Share();

  // One unary call, for example Call(&v1::SweepService::Stub::GetSweep, request).
  // Sent again while the coordinator is UNAVAILABLE, for `patience`: all calls
  // of the protos may be. CANCELLED on Ctrl-C. Messages are for people.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request, absl::Duration patience = kPatience) const {
    Stub stub(channel_);
    Response response;
    const absl::Status status = Attempt(
        [&](grpc::ClientContext* context) {
          response.Clear();
          return (stub.*method)(context, request, &response);
        },
        patience);
    if (!status.ok()) return status;
    return response;
  }

  // The same for any call: `call` makes it and returns its end. It must be safe
  // to repeat.
  absl::Status Attempt(const std::function<grpc::Status(grpc::ClientContext*)>& call,
                       absl::Duration patience = kPatience) const;

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  static constexpr absl::Duration kPatience = absl::Seconds(3);

 private:
  // Holds a data directory's turn for its life.
  class Turn;

  Connection(std::string address, std::string flags, std::string place,
             std::shared_ptr<grpc::Channel> channel);
  // Reads the options' files.
  static absl::StatusOr<std::unique_ptr<Connection>> Make(const std::string& address,
                                                          const EndpointOptions& options,
                                                          std::string flags, std::string place);
  static absl::StatusOr<std::unique_ptr<Connection>> OpenDataDir(const std::string& data_dir,
                                                                 const EndpointOptions& options,
                                                                 const std::string& flags,
                                                                 Store store);

  const std::string address_;
  const std::string flags_;
  const std::string place_;
  std::unique_ptr<Turn> turn_;
  std::unique_ptr<Embedded> embedded_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace modlab

#endif  // MODLAB_CLIENT_CONNECTION_H_
