#include "server/access/tokens_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/access/role.h"
#include "server/access/token.h"
#include "server/access/token_file.h"

namespace modlab {
namespace {

struct Options {
  std::string data_dir = "./modlab-data";
  std::string name;
  std::string role;
  int days = 0;  // 0: for ever
  std::string id;
  std::string format = "table";
};

std::string DayText(absl::Time time) {
  return time == absl::InfiniteFuture()
             ? "never"
             : absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

absl::Status Print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return absl::OkStatus();
  }
  return absl::InternalError("standard output cannot be written");
}

absl::Status Create(const Options& options) {
  const absl::Time now = absl::Now();
  const absl::Time expires =
      options.days == 0 ? absl::InfiniteFuture() : now + options.days * absl::Hours(24);
  NewToken made;
  const absl::Status written =
      ChangeTokenFile(options.data_dir, [&](std::vector<Token>* tokens) -> absl::Status {
        absl::StatusOr<NewToken> token =
            MakeToken(options.name, *ParseRole(options.role), now, expires, *tokens);
        if (!token.ok()) return token.status();
        made = *token;
        tokens->push_back(made.token);
        return absl::OkStatus();
      });
  if (!written.ok()) return written;
  // The token alone, so that it can be sent into a file.
  const absl::Status printed = Print(made.text + "\n");
  if (!printed.ok()) return printed;
  std::fprintf(stderr, "Token %s of %s (%s), expires: %s. This is its only showing.\n",
               made.token.id.c_str(), made.token.name.c_str(), options.role.c_str(),
               DayText(expires).c_str());
  return absl::OkStatus();
}

absl::Status Revoke(const Options& options) {
  std::string revoked;
  const absl::Status written =
      ChangeTokenFile(options.data_dir, [&](std::vector<Token>* tokens) -> absl::Status {
        const auto found = std::find_if(tokens->begin(), tokens->end(),
                                        [&](const Token& token) { return token.id == options.id; });
        if (found == tokens->end()) {
          return absl::NotFoundError(absl::StrCat("there is no token ", options.id, " in ",
                                                  options.data_dir,
                                                  "; `modlabd tokens list` has the ids"));
        }
        revoked = absl::StrCat(found->name, " (", RoleName(found->role), ")");
        tokens->erase(found);
        return absl::OkStatus();
      });
  if (!written.ok()) return written;
  return Print(absl::StrCat("Token ", options.id, " of ", revoked, " is revoked.\n"));
}

absl::Status List(const Options& options) {
  const absl::StatusOr<std::vector<Token>> tokens = ReadTokenFile(options.data_dir);
  if (!tokens.ok()) return tokens.status();
  const absl::Time now = absl::Now();
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::string table =
      absl::StrFormat("%-8s  %-16s  %-6s  %-20s  %s\n", "id", "name", "role", "created", "expires");
  for (const Token& token : *tokens) {
    const bool expired = token.expires <= now;
    const std::string role(RoleName(token.role));
    absl::StrAppendFormat(&table, "%-8s  %-16s  %-6s  %-20s  %s%s\n", token.id, token.name, role,
                          DayText(token.created), DayText(token.expires),
                          expired ? " (expired)" : "");
    rows.push_back({{"id", token.id},
                    {"name", token.name},
                    {"role", role},
                    {"created", DayText(token.created)},
                    {"expires", DayText(token.expires)},
                    {"expired", expired}});
  }
  return Print(options.format == "json" ? rows.dump(2) + "\n" : table);
}

}  // namespace

void AddTokensCommand(CLI::App* app, std::function<absl::Status()>* action) {
  const auto options = std::make_shared<Options>();
  CLI::App* tokens = app->add_subcommand("tokens", "Make, revoke and list the tokens of callers");
  tokens->require_subcommand(1);
  tokens->footer(
      "Roles: read looks; submit also changes sweeps; worker is for modlab-worker; admin does\n"
      "everything. A coordinator that runs takes changes at once.\n"
      "Example:\n  modlabd tokens create --name ci --role submit --days 90 --data-dir /srv/modlab");

  CLI::App* create = tokens->add_subcommand("create", "Make a token and print it, once");
  create->add_option("--name", options->name, "Whose it is; the user of the sweeps it submits")
      ->required();
  create->add_option("--role", options->role, "read, submit, worker or admin")
      ->required()
      ->check(CLI::IsMember(RoleNames()).description(""));
  create->add_option("--days", options->days, "Days that it is valid; default: for ever")
      ->check(CLI::Range(1, 36'500));
  create->footer(
      "Example:\n  modlabd tokens create --name ci --role submit --days 90 > ci.token\n"
      "Callers name the file: modlab --token-file ci.token, or MODLAB_TOKEN_FILE.");
  create->callback([=] { *action = [=] { return Create(*options); }; });

  CLI::App* revoke = tokens->add_subcommand("revoke", "Make a token worthless, at once");
  revoke->add_option("ID", options->id, "Its id, see `modlabd tokens list`")->required();
  revoke->footer("Example:\n  modlabd tokens revoke 3fa85f64 --data-dir /srv/modlab");
  revoke->callback([=] { *action = [=] { return Revoke(*options); }; });

  CLI::App* list = tokens->add_subcommand("list", "List the tokens, without their secrets");
  list->add_option("--format", options->format, "table or json")
      ->check(CLI::IsMember({"table", "json"}).description(""))
      ->capture_default_str();
  list->footer("Example:\n  modlabd tokens list --data-dir /srv/modlab --format json");
  list->callback([=] { *action = [=] { return List(*options); }; });

  for (CLI::App* command : {create, revoke, list}) {
    command->add_option("--data-dir", options->data_dir, "The coordinator's data directory")
        ->capture_default_str();
  }
}

}  // namespace modlab
