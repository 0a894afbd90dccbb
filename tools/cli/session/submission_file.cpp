#include "tools/cli/session/submission_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <cstring>
#include <optional>

#include "cluster/nearest.hpp"
#include "tools/args/commands.hpp"
#include "tools/config/toml_text.hpp"

namespace reeve::tools {
namespace {

namespace json = boost::json;
using std::string;
using std::string_view;

std::optional<string> scalar_text(const json::value& value) {
  if (value.is_string()) return string(value.get_string());
  if (value.is_int64()) return fmt::format("{}", value.get_int64());
  if (value.is_uint64()) return fmt::format("{}", value.get_uint64());
  if (value.is_double()) return fmt::format("{}", value.get_double());
  return std::nullopt;
}

Status wrong_form(string_view key, string_view expected) {
  return fail(Errc::usage, fmt::format("{}: {} is expected", key, expected));
}

Status set_command(Submission& out, string_view key, const json::value& value) {
  out.argv.clear();
  if (value.is_string()) {
    out.argv = {"/bin/sh", "-c", string(value.get_string())};
    return {};
  }
  if (!value.is_array()) return wrong_form(key, "a list of words or a text");
  for (const auto& item : value.get_array()) {
    const auto word = scalar_text(item);
    if (!word) return wrong_form(key, "a list of words or a text");
    out.argv.push_back(*word);
  }
  return {};
}

Status unknown_key(string_view key) {
  std::vector<string_view> known = {"command"};
  for (const auto& option : session_options())
    known.push_back(option.name.substr(2));
  const string_view near = nearest(key, known);
  if (near.empty())
    return fail(Errc::usage, fmt::format("there is no key \"{}\"", key));
  return fail(Errc::usage, fmt::format("there is no key \"{}\"; did you mean "
                                       "\"{}\"?",
                                       key, near));
}

}  // namespace

Status set_json_value(Submission& out, string_view key,
                      const json::value& value, const Surroundings& here) {
  if (key == "command" || key == "argv") return set_command(out, key, value);
  const OptionSpec* known = nullptr;
  for (const auto& option : session_options())
    if (option.name.substr(2) == key) known = &option;
  if (known == nullptr) return unknown_key(key);
  if (const auto text = scalar_text(value))
    return set_key(out, key, *text, here);
  if (!known->repeats) return wrong_form(key, "one value");
  if (value.is_array()) {
    for (const auto& item : value.get_array()) {
      const auto text = scalar_text(item);
      if (!text) return wrong_form(key, "a list of texts");
      if (auto good = set_key(out, key, *text, here); !good) return good;
    }
    return {};
  }
  if (!value.is_object() || key == "after")
    return wrong_form(key, "a text or a list of texts");
  for (const auto& [name, inner] : value.get_object()) {
    const auto text = scalar_text(inner);
    if (!text) return wrong_form(key, "an object of texts");
    const string pair = fmt::format("{}={}", string_view(name), *text);
    if (auto good = set_key(out, key, pair, here); !good) return good;
  }
  return {};
}

namespace {

Expected<Submission> from_object(const json::object& object, Submission out,
                                 const Surroundings& here) {
  for (const auto& [key, value] : object)
    if (auto good = set_json_value(out, key, value, here); !good)
      return tl::unexpected(good.error());
  if (auto good = check_submission(out); !good)
    return tl::unexpected(good.error());
  return out;
}

Expected<std::vector<Submission>> from_lines(string_view text, string_view file,
                                             const Submission& defaults,
                                             const Surroundings& here) {
  std::vector<Submission> out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == string_view::npos) continue;
    boost::system::error_code broken;
    const auto value = json::parse({line.data(), line.size()}, broken);
    if (broken || !value.is_object())
      return fail(
          Errc::usage,
          fmt::format("{}:{}: {}", file, number,
                      broken ? "this line is no JSON: " + broken.message()
                             : "a JSON object is expected"));
    auto one = from_object(value.get_object(), defaults, here);
    if (!one)
      return fail(Errc::usage,
                  fmt::format("{}:{}: {}", file, number, one.error().text));
    one->place = fmt::format("{}:{}", file, number);
    out.push_back(std::move(*one));
  }
  return out;
}

Expected<std::vector<Submission>> from_toml(string_view text, string_view file,
                                            Submission defaults,
                                            const Surroundings& here) {
  auto document = parse_toml(text, file);
  if (!document) return tl::unexpected(document.error());
  const json::value* list = document->root.if_contains("session");
  const bool one = list == nullptr;
  if (!one && !list->is_array())
    return fail(Errc::usage,
                fmt::format("{}: sessions stand as [[session]]", file));
  for (const auto& [key, value] : document->root) {
    if (key == "session") continue;
    const auto good = set_json_value(defaults, key, value, here);
    if (!good)
      return fail(Errc::usage,
                  fmt::format("{}:{}: {}", file,
                              document->lines[string(string_view(key))],
                              good.error().text));
  }
  std::vector<Submission> out;
  const json::array single = {json::object()};
  for (const auto& item : one ? single : list->get_array()) {
    auto session =
        item.is_object()
            ? from_object(item.get_object(), defaults, here)
            : Expected<Submission>(fail(Errc::usage, "a table is expected"));
    const string place = fmt::format("{}: session {}", file, out.size() + 1);
    if (!session)
      return fail(Errc::usage,
                  fmt::format("{}: {}", place, session.error().text));
    session->place = place;
    out.push_back(std::move(*session));
  }
  return out;
}

}  // namespace

Expected<std::vector<Submission>> parse_submission_file(
    string_view text, string_view file, const Submission& defaults,
    const Surroundings& here) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == string_view::npos)
    return fail(Errc::usage, fmt::format("{} holds no session", file));
  return text[first] == '{' ? from_lines(text, file, defaults, here)
                            : from_toml(text, file, defaults, here);
}

Expected<std::string> read_bounded(int file, std::string_view name,
                                   std::size_t bytes_max) {
  std::string out;
  std::string chunk(64 << 10, '\0');
  for (;;) {
    const ssize_t n = ::read(file, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return fail(Errc::not_found, fmt::format("cannot read {}: {}", name,
                                               std::strerror(errno)));
    if (n == 0) return out;
    out.append(chunk.data(), static_cast<std::size_t>(n));
    if (out.size() > bytes_max)
      return fail(Errc::usage,
                  fmt::format("{} has more than {} bytes, the bound of a file "
                              "of sessions: submit it in parts",
                              name, bytes_max));
  }
}

}  // namespace reeve::tools
