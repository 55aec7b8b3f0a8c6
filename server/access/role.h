// What a token allows, and what each call asks for.

#ifndef MODLAB_SERVER_ACCESS_ROLE_H_
#define MODLAB_SERVER_ACCESS_ROLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace modlab {

// kRead looks, kSubmit also changes sweeps, kWorker does what a worker does and
// nothing else, kAdmin does everything.
enum class Role { kRead, kSubmit, kWorker, kAdmin };

// "read", "submit", "worker", "admin".
absl::string_view RoleName(Role role);
std::optional<Role> ParseRole(absl::string_view name);
const std::vector<std::string>& RoleNames();

// What a method asks for.
enum class Need {
  kNothing,       // open to all, without a token
  kRead,          // read, submit, admin
  kReadOrWorker,  // any role
  kSubmit,        // submit, admin; these calls are limited in number a second
  kWorker,        // worker, admin
  kAdmin,         // admin
};

bool Allows(Role role, Need need);
// "submit or admin", for messages.
std::string RolesFor(Need need);

// "/modlab.v1.SweepService/CreateSweep" -> kSubmit. Empty for a method that is not
// in the table: nobody may call it. Every method of every service is, by a test.
std::optional<Need> NeedOf(absl::string_view method);

}  // namespace modlab

#endif  // MODLAB_SERVER_ACCESS_ROLE_H_
