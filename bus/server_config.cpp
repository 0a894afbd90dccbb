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

std::string list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& one : texts)
    out += (out.empty() ? "" : ", ") + in_quotes(one);
  return "[" + out + "]";
}

Permissions manager_permissions(const Subjects& subjects,
                                std::string_view principal, bool jetstream) {
  const std::string all = subjects.everything();
  // It answers everyone, and hears answers to itself alone.
  Permissions may{
      {all, "_INBOX.>"}, {all, inbox_prefix(principal) + ".>"}, false};
  if (!jetstream) return may;
  for (const char* streams : {"$JS.>", "$KV.>"}) {
    may.publish.emplace_back(streams);
    may.subscribe.emplace_back(streams);
  }
  return may;
}

// Sends its own commands and queries, reads the log and outputs; receives
// events, live output, figures of nodes and its own answers.
Permissions user_permissions(const Subjects& subjects,
                             std::string_view principal) {
  return {{subjects.commands_of(principal), subjects.query(principal),
           subjects.standby(principal), subjects.log_read(),
           subjects.log_head(), subjects.agents("output")},
          {subjects.events(), subjects.outputs(), subjects.stats(),
           inbox_prefix(principal) + ".>"},
          false};
}

// It hears its own figures: its daemon serves them as metrics.
Permissions agent_permissions(const Subjects& subjects,
                              const ServerUser& user) {
  Permissions may{
      {subjects.stat(user.agent), subjects.outputs_of_agent(user.agent)},
      {subjects.agent_verbs(user.agent), subjects.stat(user.agent),
       inbox_prefix(user.principal) + ".>"},
      true};
  for (const std::string_view kind : agent_commands)
    may.publish.push_back(subjects.command(user.principal, kind));
  return may;
}

Permissions token_permissions(const Subjects& subjects,
                              std::string_view principal) {
  return {{subjects.command(principal, "join")},
          {inbox_prefix(principal) + ".>"},
          false};
}

std::string user_entry(std::string_view cell, const ServerUser& user,
                       bool jetstream) {
  const Permissions may = permissions_of(cell, user, jetstream);
  std::string text = fmt::format(
      "    # {}\n"
      "    {{ nkey: {}, permissions: {{\n"
      "      publish: {{ allow: {} }}\n"
      "      subscribe: {{ allow: {} }}\n",
      user.principal, user.public_key, list(may.publish), list(may.subscribe));
  if (may.responses)
    text +=
        fmt::format("      allow_responses: {{ max: {}, expires: \"{}s\" }}\n",
                    responses_max, response_seconds_max);
  return text + "    } }\n";
}

// `mutual`: whoever connects shows a certificate of the cell, too.
std::string tls_block(const TlsFiles& files, bool mutual) {
  std::string text = fmt::format(
      "tls {{\n"
      "  cert_file: {}\n"
      "  key_file: {}\n"
      "  timeout: 10\n",
      in_quotes(files.certificate.string()), in_quotes(files.key.string()));
  if (mutual)
    text += fmt::format("  ca_file: {}\n  verify: true\n",
                        in_quotes(files.authorities.string()));
  return text + "}\n";
}

std::string cluster_block(const ServerConfig& config) {
  std::vector<std::string> routes;
  for (const Address& route : config.cluster->routes)
    routes.push_back("nats-route://" + address_text(route));
  std::string text = fmt::format(
      "cluster {{\n"
      "name: {}\n"
      "listen: {}\n"
      "no_advertise: true\n"
      "routes: {}\n",
      in_quotes("reeve-" + config.cell),
      in_quotes(address_text(config.cluster->listen)), list(routes));
  if (config.tls) text += tls_block(*config.tls, true);
  return text + "}\n";
}

std::string jetstream_block(const ServerConfig& config) {
  return fmt::format(
      "jetstream {{\n"
      "  store_dir: {}\n"
      "  max_mem: {}\n"
      "  max_file: {}\n"
      "  sync_interval: always\n"
      "}}\n",
      in_quotes(config.jetstream_directory.string()),
      config.jetstream->memory_bytes_max, config.jetstream->file_bytes_max);
}

}  // namespace

Permissions permissions_of(std::string_view cell, const ServerUser& user,
                           bool jetstream) {
  const Subjects subjects(cell);
  switch (user.role) {
    case Role::daemon:
    case Role::manager:
      return manager_permissions(subjects, user.principal, jetstream);
    case Role::user: return user_permissions(subjects, user.principal);
    case Role::agent: return agent_permissions(subjects, user);
    case Role::token: return token_permissions(subjects, user.principal);
  }
  return {};
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= name_bytes_max &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '@' ||
                  c == '-';
         });
}

std::string server_config(const ServerConfig& config) {
  std::string text = fmt::format(
      "# Written by reeved at each start and change; what others write here "
      "is lost.\n"
      "server_name: {}\n"
      "listen: {}\n"
      "max_payload: {}\n"
      "max_pending: {}\n"
      "max_connections: {}\n"
      "max_control_line: 4096\n"
      "write_deadline: \"10s\"\n"
      "ping_interval: \"20s\"\n"
      "log_file: {}\n"
      "logfile_size_limit: {}\n",
      in_quotes(config.server_name), in_quotes(address_text(config.listen)),
      message_bytes_max, server_pending_bytes_max, server_connections_max,
      in_quotes(config.log_file.string()), server_log_bytes_max);
  if (config.tls) text += tls_block(*config.tls, false);
  if (config.cluster) text += cluster_block(config);
  if (config.jetstream) text += jetstream_block(config);
  if (!config.system_key.empty())
    text += fmt::format("accounts {{ $SYS {{ users: [ {{ nkey: {} }} ] }} }}\n",
                        config.system_key);
  text += "authorization {\n  timeout: 10\n  users: [\n";
  for (const ServerUser& user : config.users)
    text += user_entry(config.cell, user, config.jetstream.has_value());
  return text + "  ]\n}\n";
}

}  // namespace reeve::bus
