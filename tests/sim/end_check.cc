#include "tests/sim/end_check.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "modlab/v1/job.pb.h"
#include "server/store/sqlite.h"
#include "tests/sim/vfs.h"

namespace modlab {
namespace sim {

namespace {

// The first column of every row.
std::string ReadColumn(Connection* connection, const std::string& sql,
                       std::multiset<std::string>* values) {
  Statement row = connection->Prepare(sql);
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status().ToString();
    if (!*more) return "";
    values->insert(std::string(row.Text(0)));
  }
}

std::string CheckFile(Connection* connection) {
  for (const char* check : {"PRAGMA integrity_check", "PRAGMA foreign_key_check"}) {
    std::multiset<std::string> lines;
    const std::string failed = ReadColumn(connection, check, &lines);
    if (!failed.empty()) return failed;
    if (!lines.empty() && *lines.begin() != "ok") {
      return absl::StrCat(check, ": ", *lines.begin());
    }
  }
  return "";
}

}  // namespace

std::string CheckStoreAtRest(Coordinator* coordinator) {
  absl::StatusOr<std::unique_ptr<Connection>> opened = Connection::Open(
      std::string(Coordinator::kDataDir) + "/modlab.db", Connection::Mode::kReadOnly, Vfs::kName);
  if (!opened.ok()) return opened.status().ToString();
  Connection* const connection = opened->get();
  std::string wrong = CheckFile(connection);
  if (!wrong.empty()) return wrong;

  // What jobs need is what the store refers to, has rows of, and has files of.
  std::multiset<std::string> needed;
  const absl::Status scanned = coordinator->store()->ScanJobs("", {}, 0, [&](const v1::Job& job) {
    if (job.state() == v1::SUCCEEDED) {
      needed.insert(job.result().checkpoint_sha256());
      if (!job.result().best().checkpoint_sha256().empty()) {
        needed.insert(job.result().best().checkpoint_sha256());
      }
    } else if (!job.checkpoint().sha256().empty()) {
      needed.insert(job.checkpoint().sha256());
    }
    return true;
  });
  if (!scanned.ok()) return scanned.ToString();
  std::multiset<std::string> references;
  std::multiset<std::string> rows;
  wrong = ReadColumn(connection, "SELECT sha256 FROM artifact_refs", &references);
  if (wrong.empty()) wrong = ReadColumn(connection, "SELECT sha256 FROM artifacts", &rows);
  if (!wrong.empty()) return wrong;
  if (references != needed) {
    return absl::StrCat("the store has ", references.size(),
                        " references to artifacts; needed are ", needed.size());
  }
  const std::set<std::string> kinds(needed.begin(), needed.end());
  if (std::multiset<std::string>(kinds.begin(), kinds.end()) != rows) {
    std::string surplus;
    for (const std::string& row : rows) {
      if (kinds.count(row) == 0) surplus += " " + row;
    }
    return absl::StrCat("the store has ", rows.size(), " artifacts; needed are ", kinds.size(),
                        "; not needed:", surplus);
  }
  const std::vector<std::string> files = coordinator->artifacts().List();
  if (std::set<std::string>(files.begin(), files.end()) != kinds) {
    std::string surplus;
    for (const std::string& file : files) {
      if (kinds.count(file) == 0) surplus += " " + file;
    }
    return absl::StrCat("there are ", files.size(), " files of artifacts; needed are ",
                        kinds.size(), "; not needed:", surplus);
  }
  for (const std::string& sha256 : kinds) {
    const absl::StatusOr<std::string> content = coordinator->artifacts().Get(sha256);
    if (!content.ok()) return content.status().ToString();
  }
  return "";
}

}  // namespace sim
}  // namespace modlab
