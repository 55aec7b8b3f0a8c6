#include "client/commands/command.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/text.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

constexpr int kPageSize = 500;

}  // namespace

void AddConnectionOptions(CLI::App* command, Connection::Choice* choice) {
  auto* server = command
                     ->add_option("--server", choice->server,
                                  "Coordinator: HOST:PORT or unix:PATH (or set MODLAB_SERVER)")
                     ->type_name("ADDR");
  command
      ->add_option("--data-dir", choice->data_dir,
                   "Store to use; default ./modlab-data. A coordinator is started for the "
                   "command if none runs on it")
      ->type_name("DIR")
      ->excludes(server);
  EndpointOptions* options = &choice->options;
  command
      ->add_option("--tls-ca", options->tls_ca,
                   "Encrypt, and trust a coordinator whose certificate those in FILE (PEM) "
                   "signed (or set MODLAB_TLS_CA)")
      ->type_name("FILE");
  command
      ->add_option("--tls-cert", options->tls_cert,
                   "Certificate of this client (PEM), where the coordinator asks for one")
      ->type_name("FILE");
  command->add_option("--tls-key", options->tls_key, "Its private key (PEM)")->type_name("FILE");
  command
      ->add_option("--token-file", options->token_file,
                   "File with the token to call with (or set MODLAB_TOKEN or MODLAB_TOKEN_FILE)")
      ->type_name("FILE");
}

void AddFormatOption(CLI::App* command, Format* format) {
  static const std::map<std::string, Format> formats = {
      {"table", Format::kTable}, {"json", Format::kJson}, {"csv", Format::kCsv}};
  std::string standard;
  std::vector<std::string> names;
  for (const auto& [name, value] : formats) {
    if (value == *format) standard = name;
    names.push_back(name);
  }
  command
      ->add_option_function<std::string>(
          "--format", [format](const std::string& name) { *format = formats.at(name); },
          "table, json or csv; default " + standard)
      ->type_name("FORMAT")
      ->check(CLI::IsMember(names).description(""));
}

void AddWhereOption(CLI::App* command, std::vector<std::string>* where) {
  AddFilterOption(command, "--where",
                  "Only jobs with one of these values, e.g. model=modular,gt_modular; "
                  "may be repeated, all must hold; also state=failed",
                  where);
}

CLI::Option* AddFilterOption(CLI::App* command, const std::string& name, const std::string& text,
                             std::vector<std::string>* filters) {
  return command->add_option(name, *filters, text)
      ->type_name("FIELD=VALUE[,VALUE...]")
      // One value each, so that what follows it is not swallowed.
      ->allow_extra_args(false);
}

void AddCheckpointOption(CLI::App* command, v1::Checkpoint* checkpoint) {
  static const std::map<std::string, v1::Checkpoint> checkpoints = {{"last", v1::LAST},
                                                                    {"best", v1::BEST}};
  command
      ->add_option_function<std::string>(
          "--checkpoint",
          [checkpoint](const std::string& name) { *checkpoint = checkpoints.at(name); },
          "Figures of the last weights, or of those with the best validation (jobs that kept "
          "none have none): last or best; default last")
      ->type_name("CHECKPOINT")
      ->check(CLI::IsMember({"last", "best"}).description(""));
}

void AddSweepArgument(CLI::App* command, std::string* sweep) {
  command->add_option("SWEEP", *sweep, "Sweep: its id, or its name for the newest of that name")
      ->type_name("")
      ->required();
}

absl::StatusOr<std::vector<v1::FieldFilter>> ParseWhere(const std::vector<std::string>& where,
                                                        absl::string_view option) {
  std::vector<v1::FieldFilter> filters;
  for (const std::string& text : where) {
    const size_t equals = text.find('=');
    v1::FieldFilter filter;
    if (equals != std::string::npos) {
      filter.set_field(text.substr(0, equals));
      for (std::string& value : SplitList(text.substr(equals + 1))) {
        filter.add_values(std::move(value));
      }
    }
    if (filter.field().empty() || filter.values().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(option, " ", text, ": expected FIELD=VALUE[,VALUE...], e.g. rules=4,8"));
    }
    filters.push_back(std::move(filter));
  }
  return filters;
}

absl::Status VisitJobs(const Connection& connection, const std::string& sweep,
                       const std::vector<v1::FieldFilter>& filters,
                       const std::function<bool(const v1::Job&)>& visit) {
  v1::ListJobsRequest request;
  request.set_sweep(sweep);
  request.set_page_size(kPageSize);
  request.mutable_filters()->Assign(filters.begin(), filters.end());
  do {
    auto page = connection.Call(&v1::SweepService::Stub::ListJobs, request);
    if (!page.ok()) return page.status();
    for (const v1::Job& job : page->jobs()) {
      if (!visit(job)) return absl::OkStatus();
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

}  // namespace modlab
