// A bounded pool of read-only connections to one file.
//
// Thread-safe. Acquire() waits while all connections are in use.

#ifndef MODLAB_SERVER_STORE_READER_POOL_H_
#define MODLAB_SERVER_STORE_READER_POOL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "lib/sync/mutex.h"
#include "server/store/sqlite.h"

namespace modlab {

class ReaderPool {
 public:
  // One reader's use of a connection: a consistent snapshot, until its end.
  // Must not outlive the pool.
  class Snapshot {
   public:
    Snapshot(ReaderPool* pool, std::unique_ptr<Connection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    Snapshot(Snapshot&&) = default;
    Snapshot& operator=(Snapshot&&) = delete;
    ~Snapshot();

    Connection* connection() { return connection_.get(); }

   private:
    ReaderPool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  // Opens connections as they are first needed.
  ReaderPool(std::string path, std::string vfs, int connections_max)
      : path_(std::move(path)), vfs_(std::move(vfs)), connections_max_(connections_max) {}

  absl::StatusOr<Snapshot> Acquire();

 private:
  absl::StatusOr<std::unique_ptr<Connection>> Open() const;
  void Release(std::unique_ptr<Connection> connection);

  const std::string path_;
  const std::string vfs_;
  const int connections_max_;
  Mutex mutex_;
  Condition released_;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);
  int in_use_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_READER_POOL_H_
