#include "lib/log/log.h"

#include <spdlog/details/log_msg.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace modlab {
namespace {

using Json = nlohmann::ordered_json;

// The length of the name in "name=..."; 0 if there is none.
size_t NameLength(absl::string_view text) {
  size_t length = 0;
  while (length < text.size() &&
         (absl::ascii_islower(static_cast<unsigned char>(text[length])) || text[length] == '_')) {
    ++length;
  }
  return length < text.size() && text[length] == '=' ? length : 0;
}

// The length of the value that begins `text`: up to a blank, or a quoted one.
size_t ValueLength(absl::string_view text) {
  if (text.empty() || text[0] != '"') return std::min(text.find(' '), text.size());
  size_t end = 1;
  while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

// Moves "name=value name=value: " from the beginning of `text` to `fields`; moves nothing
// if the text does not begin so.
void TakeFields(absl::string_view* text, Json* fields) {
  Json taken = Json::object();
  absl::string_view rest = *text;
  while (const size_t name_length = NameLength(rest)) {
    const std::string name(rest.substr(0, name_length));
    rest.remove_prefix(name_length + 1);
    const size_t length = ValueLength(rest);
    absl::string_view value = rest.substr(0, length);
    rest.remove_prefix(length);
    const bool quoted = !value.empty() && value[0] == '"';
    // The last one ends with a colon, behind the quotes where it has some.
    const bool last =
        quoted ? rest.substr(0, 2) == ": " : !value.empty() && value.back() == ':' && !rest.empty();
    if (quoted && value.size() >= 2) value = value.substr(1, value.size() - 2);
    if (!quoted && last) value.remove_suffix(1);
    int64_t number = 0;
    if (!quoted && absl::SimpleAtoi(value, &number)) {
      taken[name] = number;
    } else {
      taken[name] = std::string(value);
    }
    if (last) {
      rest.remove_prefix(quoted ? 2 : 1);
      // What a message says does not take the place of what the log says.
      for (const auto& field : taken.items()) {
        if (!fields->contains(field.key())) (*fields)[field.key()] = field.value();
      }
      *text = rest;
      return;
    }
    if (rest.empty() || rest[0] != ' ') return;
    rest.remove_prefix(1);
  }
}

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& out) override {
    const auto level = spdlog::level::to_string_view(msg.level);
    absl::string_view text(msg.payload.data(), msg.payload.size());
    Json line = {
        {"time",
         absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromChrono(msg.time), absl::UTCTimeZone())},
        {"level", std::string(level.data(), level.size())},
        {"program", std::string(msg.logger_name.data(), msg.logger_name.size())},
    };
    TakeFields(&text, &line);
    line["message"] = std::string(text);
    const std::string json = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    out.append(json.data(), json.data() + json.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override { return MakeJsonFormatter(); }
};

}  // namespace

void StartLog(const std::string& program, const std::string& level, const std::string& format) {
  auto logger = spdlog::stderr_color_mt(program);
  if (format == "json") logger->set_formatter(MakeJsonFormatter());
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(spdlog::level::from_str(level));
}

std::unique_ptr<spdlog::formatter> MakeJsonFormatter() { return std::make_unique<JsonFormatter>(); }

}  // namespace modlab
