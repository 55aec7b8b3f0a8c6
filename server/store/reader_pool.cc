#include "server/store/reader_pool.h"

#include "absl/status/status.h"

namespace modlab {

ReaderPool::Snapshot::~Snapshot() {
  if (connection_ != nullptr) pool_->Release(std::move(connection_));
}

absl::StatusOr<ReaderPool::Snapshot> ReaderPool::Acquire() {
  std::unique_ptr<Connection> connection;
  {
    const MutexLock lock(&mutex_);
    while (in_use_ >= connections_max_) released_.Wait(&mutex_);
    ++in_use_;
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  absl::Status status;
  if (connection == nullptr) {
    absl::StatusOr<std::unique_ptr<Connection>> opened = Open();
    if (opened.ok()) {
      connection = *std::move(opened);
    } else {
      status = opened.status();
    }
  }
  if (status.ok()) status = connection->Execute("BEGIN");
  if (!status.ok()) {
    Release(nullptr);
    return status;
  }
  return Snapshot(this, std::move(connection));
}

absl::StatusOr<std::unique_ptr<Connection>> ReaderPool::Open() const {
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open(path_, Connection::Mode::kReadOnly, vfs_);
  if (!connection.ok()) return connection.status();
  absl::Status status = (*connection)
                            ->Execute(
                                "PRAGMA busy_timeout = 10000;"
                                "PRAGMA cache_size = -16384;");  // KiB
  if (!status.ok()) return status;
  return connection;
}

void ReaderPool::Release(std::unique_ptr<Connection> connection) {
  if (connection != nullptr) connection->Rollback();
  const MutexLock lock(&mutex_);
  if (connection != nullptr) idle_.push_back(std::move(connection));
  --in_use_;
  released_.NotifyOne();
}

}  // namespace modlab
