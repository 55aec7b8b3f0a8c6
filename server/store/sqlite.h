// SQLite's C API with owners: a connection, its cached prepared statements, and
// one mapping of its errors to absl::Status.
//
// A connection and its statements belong to one thread at a time.
//
// Errors of every call: RESOURCE_EXHAUSTED where the disk is full, or the database at
// its limit; FAILED_PRECONDITION where the file cannot be opened or written;
// UNAVAILABLE where another process holds it; INTERNAL for all else, a damaged
// file say. All name the file.

#ifndef MODLAB_SERVER_STORE_SQLITE_H_
#define MODLAB_SERVER_STORE_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

class Connection;

// One use of a prepared statement: bind all parameters in order, then step.
// Its end makes the statement ready for the next use.
class Statement {
 public:
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;

  // Text and blobs must live until the last step.
  Statement& Bind(int64_t value);
  Statement& BindText(absl::string_view value);
  Statement& BindBlob(absl::string_view value);
  Statement& BindNull();

  // True: there is a row to read. False: done.
  absl::StatusOr<bool> Step();
  // Steps once, for statements without rows.
  absl::Status Run();

  // Columns of the current row, from 0. Views live until the next step.
  int64_t Int(int column) const;
  absl::string_view Text(int column) const;
  absl::string_view Blob(int column) const;
  bool IsNull(int column) const;

 private:
  friend class Connection;
  Statement(Connection* connection, sqlite3_stmt* statement, int result)
      : connection_(connection), statement_(statement), result_(result) {}

  Connection* connection_;
  sqlite3_stmt* statement_;  // owned by the connection; null where preparing failed
  int result_;               // of preparing and binding: the first that is not SQLITE_OK
  int parameters_ = 0;       // bound so far
};

class Connection {
 public:
  enum class Mode { kReadWriteCreate, kReadOnly };

  // `vfs` is the name of SQLite's VFS; empty: the system's.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Mode mode,
                                                          const std::string& vfs = "");
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // An SQL function of `arguments` arguments. It finds `context`, a std::string, by
  // sqlite3_user_data().
  absl::Status AddFunction(const char* name, int arguments,
                           void (*function)(sqlite3_context*, int, sqlite3_value**),
                           const std::string& context);
  // An SQL function of rows: `step` for each, then `end`.
  absl::Status AddAggregate(const char* name, int arguments,
                            void (*step)(sqlite3_context*, int, sqlite3_value**),
                            void (*end)(sqlite3_context*));
  // Makes the database of `to`, which has no transaction, a copy of this one as its
  // transaction sees it, in steps of 1 MiB. `go_on` is asked before each; CANCELLED if
  // it says no. Writers of this database are never waited for, nor made to wait.
  absl::Status CopyTo(Connection* to, const std::function<bool()>& go_on);
  // Runs a script: any number of statements without parameters.
  absl::Status Execute(const std::string& script);
  // The same text is prepared once in the connection's life, and must not be in
  // use twice at a time. A failure is reported by the first step.
  Statement Prepare(absl::string_view sql);

  // From now on a prepared statement that writes is refused, FAILED_PRECONDITION, where no
  // transaction is open, instead of being one by itself.
  void KeepToTransactions() { kept_to_transactions_ = true; }
  absl::Status NoTransactionError() const;
  // Ends an open transaction, if there is one.
  void Rollback();
  // SQLite itself gives up a transaction after some failures.
  bool in_transaction() const;
  // Rows changed by the last statement.
  int64_t changes() const;
  int64_t last_insert_id() const;
  const std::string& path() const { return path_; }

 private:
  friend class Statement;
  Connection(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  absl::Status Error(int result) const;

  const std::string path_;
  sqlite3* const handle_;
  bool kept_to_transactions_ = false;
  absl::flat_hash_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_SQLITE_H_
