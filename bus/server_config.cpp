#include "bus/server_config.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bus/connection.hpp"
#include "bus/subject.hpp"

namespace reeve::bus {
namespace {

constexpr std::size_t name_bytes_max = 64;

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string list(const std::vector<std::string>& subjects) {
  std::string out;
  for (const std::string& one : subjects)
    out += (out.empty() ? "" : ", ") + in_quotes(one);
  return "[" + out + "]";
}

std::string user_entry(const ServerUser& user) {
  return fmt::format(
      "    {{ user: {}, password: {}, permissions: {{\n"
      "      publish: {{ allow: {} }}\n"
      "      subscribe: {{ allow: {} }}\n"
      "    }} }}\n",
      in_quotes(user.principal), in_quotes(user.password),
      list(user.may_publish), list(user.may_subscribe));
}

}  // namespace

ServerUser daemon_user(std::string_view cell, std::string password) {
  const std::string all = Subjects(cell).everything();
  return {std::string(daemon_principal),
          std::move(password),
          {all, "_INBOX.>"},
          {all, inbox_prefix(daemon_principal) + ".>"}};
}

ServerUser plain_user(std::string_view cell, std::string_view principal,
                      std::string password) {
  const Subjects subjects(cell);
  return {std::string(principal),
          std::move(password),
          {subjects.commands_of(principal), subjects.query(principal),
           subjects.log_read(), subjects.log_head(), subjects.agents("output")},
          {subjects.events(), subjects.outputs(), subjects.stats(),
           inbox_prefix(principal) + ".>"}};
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= name_bytes_max &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '@' ||
                  c == '-';
         });
}

std::string server_config(std::string_view cell, int port,
                          const std::filesystem::path& log_file,
                          const std::vector<ServerUser>& users) {
  std::string text = fmt::format(
      "# Written by reeved at each start; changes here are lost.\n"
      "server_name: {}\n"
      "listen: \"127.0.0.1:{}\"\n"
      "max_payload: {}\n"
      "max_pending: {}\n"
      "max_connections: {}\n"
      "max_control_line: 4096\n"
      "write_deadline: \"10s\"\n"
      "ping_interval: \"20s\"\n"
      "log_file: {}\n"
      "logfile_size_limit: {}\n"
      "authorization {{\n"
      "  timeout: 10\n"
      "  users: [\n",
      in_quotes(fmt::format("reeve-{}", cell)), port, message_bytes_max,
      server_pending_bytes_max, server_connections_max,
      in_quotes(log_file.string()), server_log_bytes_max);
  for (const ServerUser& user : users) text += user_entry(user);
  return text + "  ]\n}\n";
}

}  // namespace reeve::bus
