#include "rpc/options.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace modlab {
namespace {

constexpr size_t kFileBytesMax = size_t{1} << 20;
constexpr size_t kTokenBytesMax = 512;

// Something a user named, and how: "--tls-ca", "MODLAB_TLS_CA".
struct Source {
  std::string name;
  std::string value;
};

Source FlagOrVariable(const char* flag, const std::string& value, const char* variable) {
  if (!value.empty()) return {flag, value};
  const char* set = std::getenv(variable);
  return {variable, set == nullptr ? "" : set};
}

absl::Status Bad(const Source& source, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(source.name, ": ", what));
}

absl::StatusOr<std::string> ReadFile(const Source& source) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(source.value.c_str(), "rbe"), &std::fclose);
  std::string text(kFileBytesMax + 1, '\0');
  if (file != nullptr) text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (file == nullptr || std::ferror(file.get()) != 0) {
    return Bad(source, absl::StrCat("cannot read ", source.value, ": ", std::strerror(errno)));
  }
  if (text.size() > kFileBytesMax) {
    return Bad(source, absl::StrCat(source.value, " has more than ", kFileBytesMax, " bytes"));
  }
  return text;
}

// "" where nothing is named.
absl::StatusOr<std::string> ReadPem(const Source& source, absl::string_view kind) {
  if (source.value.empty()) return std::string();
  absl::StatusOr<std::string> text = ReadFile(source);
  if (text.ok() && !absl::StrContains(*text, absl::StrCat(kind, "-----"))) {
    return Bad(source, absl::StrCat(source.value, " has no line \"-----BEGIN ", kind,
                                    "-----\"; a PEM file is expected"));
  }
  return text;
}

absl::StatusOr<std::string> CheckToken(const Source& source, absl::string_view text) {
  const std::string token(absl::StripAsciiWhitespace(text));
  if (token.empty() || token.size() > kTokenBytesMax) {
    return Bad(source, absl::StrCat("a token has 1 to ", kTokenBytesMax, " characters, this ",
                                    token.size()));
  }
  for (const char c : token) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return Bad(source, "not one token: there is a space, or a character that no token has");
    }
  }
  return token;
}

absl::StatusOr<std::string> ReadToken(const std::string& token_file) {
  const Source file = FlagOrVariable("--token-file", token_file, "MODLAB_TOKEN_FILE");
  if (token_file.empty()) {
    const Source direct = FlagOrVariable("", "", "MODLAB_TOKEN");
    if (!direct.value.empty()) return CheckToken(direct, direct.value);
  }
  if (file.value.empty()) return std::string();
  absl::StatusOr<std::string> text = ReadFile(file);
  return text.ok() ? CheckToken(file, *text) : text;
}

}  // namespace

absl::StatusOr<Endpoint> ReadEndpoint(const std::string& address, const EndpointOptions& options) {
  Endpoint endpoint;
  endpoint.address = address;
  absl::StatusOr<std::string> token = ReadToken(options.token_file);
  if (!token.ok()) return token.status();
  endpoint.token = *token;
  if (absl::StartsWith(address, "unix:")) {
    if (!options.tls_ca.empty() || !options.tls_cert.empty() || !options.tls_key.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--tls-ca, --tls-cert and --tls-key are for HOST:PORT; ", address,
                       " does not leave this machine"));
    }
    return endpoint;
  }
  struct {
    Source source;
    absl::string_view kind;
    std::string* text;
  } files[] = {
      {FlagOrVariable("--tls-ca", options.tls_ca, "MODLAB_TLS_CA"), "CERTIFICATE",
       &endpoint.tls_ca},
      {{"--tls-cert", options.tls_cert}, "CERTIFICATE", &endpoint.tls_cert},
      {{"--tls-key", options.tls_key}, "PRIVATE KEY", &endpoint.tls_key},
  };
  for (auto& file : files) {
    absl::StatusOr<std::string> text = ReadPem(file.source, file.kind);
    if (!text.ok()) return text.status();
    *file.text = *std::move(text);
  }
  const absl::Status usable = CheckEndpoint(endpoint);
  if (!usable.ok()) return usable;
  return endpoint;
}

}  // namespace modlab
