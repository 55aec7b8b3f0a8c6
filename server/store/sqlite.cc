#include "server/store/sqlite.h"

#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"

namespace modlab {
namespace {

// SQLite wants a pointer even for an empty value; null would mean NULL.
const char* DataOf(absl::string_view value) { return value.empty() ? "" : value.data(); }

bool IsDiskFull(int primary, int system_errno) {
  if (primary == SQLITE_FULL) return true;
  if (primary != SQLITE_IOERR && primary != SQLITE_CANTOPEN) return false;
  return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      result_(other.result_),
      parameters_(other.parameters_) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Statement& Statement::Bind(int64_t value) {
  if (result_ == SQLITE_OK) result_ = sqlite3_bind_int64(statement_, ++parameters_, value);
  return *this;
}

Statement& Statement::BindText(absl::string_view value) {
  if (result_ == SQLITE_OK) {
    result_ = sqlite3_bind_text64(statement_, ++parameters_, DataOf(value), value.size(),
                                  SQLITE_STATIC, SQLITE_UTF8);
  }
  return *this;
}

Statement& Statement::BindBlob(absl::string_view value) {
  if (result_ == SQLITE_OK) {
    result_ =
        sqlite3_bind_blob64(statement_, ++parameters_, DataOf(value), value.size(), SQLITE_STATIC);
  }
  return *this;
}

Statement& Statement::BindNull() {
  if (result_ == SQLITE_OK) result_ = sqlite3_bind_null(statement_, ++parameters_);
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  if (result_ != SQLITE_OK) return connection_->Error(result_);
  if (connection_->kept_to_transactions_ && !connection_->in_transaction() &&
      sqlite3_stmt_readonly(statement_) == 0) {
    return connection_->NoTransactionError();
  }
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return connection_->Error(result);
}

absl::Status Statement::Run() { return Step().status(); }

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

absl::string_view Statement::Text(int column) const { return Blob(column); }

absl::string_view Statement::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return absl::string_view(static_cast<const char*>(data), static_cast<size_t>(size));
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path, Mode mode,
                                                             const std::string& vfs) {
  // Each connection has one user at a time, so SQLite needs no mutex of its own.
  const int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
      (mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
  std::unique_ptr<Connection> connection(new Connection(path, handle));
  if (result != SQLITE_OK) return connection->Error(result);
  return connection;
}

Connection::~Connection() {
  for (const auto& entry : statements_) sqlite3_finalize(entry.second);
  sqlite3_close(handle_);
}

absl::Status Connection::AddFunction(const char* name, int arguments,
                                     void (*function)(sqlite3_context*, int, sqlite3_value**),
                                     const std::string& context) {
  // SQLite owns the context, also if this fails.
  const int result = sqlite3_create_function_v2(
      handle_, name, arguments, SQLITE_UTF8, new std::string(context), function, nullptr, nullptr,
      [](void* owned) { delete static_cast<std::string*>(owned); });
  return result == SQLITE_OK ? absl::OkStatus() : Error(result);
}

absl::Status Connection::AddAggregate(const char* name, int arguments,
                                      void (*step)(sqlite3_context*, int, sqlite3_value**),
                                      void (*end)(sqlite3_context*)) {
  const int result = sqlite3_create_function_v2(handle_, name, arguments, SQLITE_UTF8, nullptr,
                                                nullptr, step, end, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : Error(result);
}

absl::Status Connection::CopyTo(Connection* to, const std::function<bool()>& go_on) {
  constexpr int kStepPages = 256;
  sqlite3_backup* const copy = sqlite3_backup_init(to->handle_, "main", handle_, "main");
  if (copy == nullptr) return to->Error(sqlite3_errcode(to->handle_));
  int result = SQLITE_OK;
  bool wanted = true;
  while (result == SQLITE_OK && wanted) {
    wanted = go_on();
    if (wanted) result = sqlite3_backup_step(copy, kStepPages);
  }
  const int end = sqlite3_backup_finish(copy);
  if (!wanted) return absl::CancelledError("nobody waits for the copy any more");
  return end == SQLITE_OK ? absl::OkStatus() : to->Error(end);
}

absl::Status Connection::Execute(const std::string& script) {
  const int result = sqlite3_exec(handle_, script.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : Error(result);
}

Statement Connection::Prepare(absl::string_view sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return Statement(this, found->second, SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result == SQLITE_OK) statements_.emplace(std::string(sql), statement);
  return Statement(this, statement, result);
}

void Connection::Rollback() {
  if (in_transaction()) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

absl::Status Connection::NoTransactionError() const {
  return absl::FailedPreconditionError(absl::StrCat(path_, ": no transaction is open"));
}

bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

int64_t Connection::changes() const { return sqlite3_changes64(handle_); }

int64_t Connection::last_insert_id() const { return sqlite3_last_insert_rowid(handle_); }

absl::Status Connection::Error(int result) const {
  const int primary = result & 0xff;
  if (handle_ == nullptr) return absl::ResourceExhaustedError("SQLite: out of memory");
  if (IsDiskFull(primary, sqlite3_system_errno(handle_))) {
    return absl::ResourceExhaustedError(
        absl::StrCat("disk full, or the database at its limit: cannot write ", path_,
                     "; free some space, by `modlab prune` say, and try again"));
  }
  const std::string what = absl::StrCat(path_, ": ", sqlite3_errmsg(handle_), " (SQLite error ",
                                        sqlite3_extended_errcode(handle_), ")");
  switch (primary) {
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::FailedPreconditionError(what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(what);
    default:
      return absl::InternalError(what);
  }
}

}  // namespace modlab
