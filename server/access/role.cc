#include "server/access/role.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_join.h"

namespace modlab {
namespace {

constexpr Role kRoles[] = {Role::kRead, Role::kSubmit, Role::kWorker, Role::kAdmin};

struct Method {
  absl::string_view name;
  Need need;
};

constexpr Method kMethods[] = {
    {"/grpc.health.v1.Health/Check", Need::kNothing},
    {"/grpc.health.v1.Health/Watch", Need::kReadOrWorker},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Need::kRead},

    {"/modlab.v1.SweepService/CreateSweep", Need::kSubmit},
    {"/modlab.v1.SweepService/GetSweep", Need::kRead},
    {"/modlab.v1.SweepService/ListSweeps", Need::kRead},
    {"/modlab.v1.SweepService/CancelSweep", Need::kSubmit},
    {"/modlab.v1.SweepService/CancelJobs", Need::kSubmit},
    {"/modlab.v1.SweepService/UpdateSweep", Need::kSubmit},
    {"/modlab.v1.SweepService/ExtendSweep", Need::kSubmit},
    {"/modlab.v1.SweepService/GetJob", Need::kRead},
    {"/modlab.v1.SweepService/ListJobs", Need::kRead},
    {"/modlab.v1.SweepService/ListJobEvents", Need::kRead},
    {"/modlab.v1.SweepService/RetryJobs", Need::kSubmit},

    {"/modlab.v1.ResultsService/QueryResults", Need::kRead},
    {"/modlab.v1.ResultsService/QueryCurves", Need::kRead},
    {"/modlab.v1.ResultsService/RankModels", Need::kRead},
    {"/modlab.v1.ResultsService/ComparePairs", Need::kRead},
    {"/modlab.v1.ResultsService/GetJobCurve", Need::kRead},

    {"/modlab.v1.ArtifactService/UploadArtifact", Need::kWorker},
    {"/modlab.v1.ArtifactService/DownloadArtifact", Need::kReadOrWorker},

    {"/modlab.v1.WorkerService/Synchronise", Need::kWorker},
    {"/modlab.v1.WorkerService/ListWorkers", Need::kRead},
    {"/modlab.v1.WorkerService/DrainWorker", Need::kAdmin},
    {"/modlab.v1.WorkerService/ReleaseWorker", Need::kAdmin},

    {"/modlab.v1.CoordinatorService/GetStatus", Need::kRead},
    {"/modlab.v1.CoordinatorService/Audit", Need::kRead},
    {"/modlab.v1.CoordinatorService/Backup", Need::kAdmin},
    {"/modlab.v1.CoordinatorService/Prune", Need::kAdmin},
};

}  // namespace

absl::string_view RoleName(Role role) {
  switch (role) {
    case Role::kRead:
      return "read";
    case Role::kSubmit:
      return "submit";
    case Role::kWorker:
      return "worker";
    case Role::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<Role> ParseRole(absl::string_view name) {
  for (const Role role : kRoles) {
    if (RoleName(role) == name) return role;
  }
  return std::nullopt;
}

const std::vector<std::string>& RoleNames() {
  static const auto* const names = [] {
    auto* all = new std::vector<std::string>;
    for (const Role role : kRoles) all->emplace_back(RoleName(role));
    return all;
  }();
  return *names;
}

bool Allows(Role role, Need need) {
  switch (need) {
    case Need::kNothing:
    case Need::kReadOrWorker:
      return true;
    case Need::kRead:
      return role != Role::kWorker;
    case Need::kSubmit:
      return role == Role::kSubmit || role == Role::kAdmin;
    case Need::kWorker:
      return role == Role::kWorker || role == Role::kAdmin;
    case Need::kAdmin:
      return role == Role::kAdmin;
  }
  return false;
}

std::string RolesFor(Need need) {
  std::vector<absl::string_view> names;
  for (const Role role : kRoles) {
    if (Allows(role, need)) names.push_back(RoleName(role));
  }
  return absl::StrJoin(names, " or ");
}

std::optional<Need> NeedOf(absl::string_view method) {
  const auto* found = std::find_if(std::begin(kMethods), std::end(kMethods),
                                   [method](const Method& row) { return row.name == method; });
  if (found == std::end(kMethods)) return std::nullopt;
  return found->need;
}

}  // namespace modlab
