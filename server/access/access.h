// Who may make which call, and how often.

#ifndef MODLAB_SERVER_ACCESS_ACCESS_H_
#define MODLAB_SERVER_ACCESS_ACCESS_H_

#include <sys/stat.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/sync/mutex.h"
#include "server/access/token.h"

namespace modlab {

// Thread-safe. Reads the token file again whenever it has changed, so that a token
// is revoked for the next call.
class Access {
 public:
  struct Options {
    std::string data_dir;
    bool tokens_required = false;
    // Calls that change sweeps, by one user: so many at once, and then so many a
    // second. Without tokens all callers are one user.
    double changes_burst = 50;
    double changes_per_second = 10;
  };

  explicit Access(Options options);

  // Whether a call of `method` ("/package.Service/Method") that carries this
  // "authorization" ("" for none) may go on. UNAUTHENTICATED: no valid token.
  // PERMISSION_DENIED: its role does not allow it. UNIMPLEMENTED: no such method.
  // RESOURCE_EXHAUSTED: too many calls of this user. UNAVAILABLE: the token file
  // cannot be read; the log says why.
  absl::Status Check(absl::string_view method, absl::string_view authorization, absl::Time now);

  // The same for a call that goes on for long, asked again meanwhile. Counts no call.
  absl::Status Recheck(absl::string_view method, absl::string_view authorization, absl::Time now);

  // The name of the token, "" for none that is valid.
  std::string User(absl::string_view authorization, absl::Time now);

 private:
  using Tokens = std::shared_ptr<const std::vector<Token>>;
  struct Bucket {
    double left = 0;
    absl::Time filled;
  };

  // The valid token, not null.
  absl::StatusOr<std::shared_ptr<const Token>> Find(absl::string_view authorization,
                                                    absl::Time now);
  absl::StatusOr<Tokens> Read();
  // Who is allowed to; "" where nobody is asked for.
  absl::StatusOr<std::string> Admit(absl::string_view method, absl::string_view authorization,
                                    absl::Time now);
  absl::Status CountChange(const std::string& user, absl::Time now);

  const Options options_;
  const std::string path_;
  Mutex mutex_;
  struct stat seen_ ABSL_GUARDED_BY(mutex_);
  bool has_seen_ ABSL_GUARDED_BY(mutex_) = false;
  absl::StatusOr<Tokens> tokens_ ABSL_GUARDED_BY(mutex_);
  // As many as there are names of tokens.
  std::map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ACCESS_ACCESS_H_
