#include "bus/server_files.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <set>

#include "bus/private_file.hpp"
#include "cluster/nkey.hpp"

namespace reeve::bus {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct RoleWord {
  Role role;
  std::string_view word;
};
constexpr RoleWord role_words[] = {{Role::manager, "manager"},
                                   {Role::user, "user"},
                                   {Role::agent, "agent"},
                                   {Role::token, "token"}};

std::string_view word_of(Role role) {
  for (const RoleWord& one : role_words)
    if (one.role == role) return one.word;
  return "";
}

std::string text_in(const json::object& object, const char* key) {
  const json::value* found = object.if_contains(key);
  const json::string* text = found ? found->if_string() : nullptr;
  return text ? std::string(text->data(), text->size()) : std::string();
}

Status make_authority_files(const fs::path& directory, std::string_view cell,
                            std::int64_t now_seconds) {
  const auto made = make_authority(cell, now_seconds);
  if (!made) return tl::unexpected(made.error());
  // The key first: a certificate without one would be damage.
  auto status = write_private_file(directory / "ca.key", made->key);
  if (status)
    status = write_private_file(directory / "ca.pem", made->certificate);
  return status;
}

Expected<Authorities> load_authorities(const fs::path& directory,
                                       std::string_view cell,
                                       std::int64_t now_seconds) {
  const TlsFiles files = tls_files(directory);
  const fs::path key_file = directory / "ca.key";
  auto certificates = read_private_file(files.authorities);
  if (!certificates && certificates.error().code == Errc::not_found) {
    const auto made = make_authority_files(directory, cell, now_seconds);
    if (!made) return tl::unexpected(made.error());
    certificates = read_private_file(files.authorities);
  }
  if (!certificates) return tl::unexpected(certificates.error());
  const auto keys = read_private_file(key_file);
  if (!keys) return tl::unexpected(keys.error());
  auto all = parse_authorities(*certificates, *keys);
  if (!all)
    return fail(all.error().code,
                fmt::format("{} and {}: {}; bring them back from a copy or "
                            "another manager, or remove both: all other hosts "
                            "must join anew then",
                            files.authorities.string(), key_file.string(),
                            all.error().text));
  return all;
}

}  // namespace

ServerRecord read_server_record(const fs::path& directory) {
  const auto text = read_private_file(directory / "server.json");
  if (!text) return {};
  json::error_code error;
  const json::value value = json::parse(*text, error);
  const json::object* object = error ? nullptr : value.if_object();
  const auto number = [&](const char* key) -> std::int64_t {
    const json::value* found = object ? object->if_contains(key) : nullptr;
    return found && found->is_int64() ? found->as_int64() : 0;
  };
  return {{static_cast<int>(number("pid")),
           static_cast<std::uint64_t>(number("start_ticks"))},
          static_cast<int>(number("port"))};
}

Status write_server_record(const fs::path& directory,
                           const ServerRecord& record) {
  const json::object object{
      {"pid", record.process.pid},
      {"start_ticks", static_cast<std::int64_t>(record.process.start_ticks)},
      {"port", record.port}};
  return write_private_file(directory / "server.json",
                            json::serialize(object) + "\n");
}

std::string users_text(const std::vector<ServerUser>& users) {
  json::array all;
  for (const ServerUser& user : users)
    all.push_back(json::object{{"principal", user.principal},
                               {"role", word_of(user.role)},
                               {"public_key", user.public_key},
                               {"agent", user.agent}});
  return json::serialize(all) + "\n";
}

std::vector<ServerUser> parse_users(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  const json::array* array = error ? nullptr : value.if_array();
  if (array == nullptr) return {};
  std::vector<ServerUser> users;
  for (const json::value& one : *array) {
    const json::object* object = one.if_object();
    if (object == nullptr) return {};
    const std::string word = text_in(*object, "role");
    for (const RoleWord& known : role_words)
      if (known.word == word)
        users.push_back({text_in(*object, "principal"), known.role,
                         text_in(*object, "public_key"),
                         text_in(*object, "agent")});
  }
  if (!check_users(users)) return {};
  return users;
}

std::vector<ServerUser> read_users(const fs::path& directory) {
  const auto text =
      read_private_file(directory / "users.json", users_file_bytes_max);
  return text ? parse_users(*text) : std::vector<ServerUser>();
}

Status write_users(const fs::path& directory,
                   const std::vector<ServerUser>& users) {
  return write_private_file(directory / "users.json", users_text(users));
}

Status check_users(const std::vector<ServerUser>& users) {
  if (users.size() > server_users_max)
    return fail(Errc::usage,
                fmt::format("{} principals for the bus: it takes {} at most, "
                            "remove some",
                            users.size(), server_users_max));
  std::set<std::string_view> keys;
  for (const ServerUser& user : users) {
    if (!valid_name(user.principal) || user.principal == daemon_principal ||
        user.role == Role::daemon)
      return fail(Errc::usage, fmt::format("'{}' cannot be a principal of the "
                                           "bus",
                                           user.principal));
    if (!cluster::parse_user_key(user.public_key) ||
        !keys.insert(user.public_key).second)
      return fail(Errc::usage,
                  fmt::format("the key of {}, '{}', is no bus key or another "
                              "principal's, too",
                              user.principal, user.public_key));
    if ((user.role == Role::agent) == user.agent.empty())
      return fail(Errc::usage,
                  fmt::format("{}: an agent has a name, and nobody else",
                              user.principal));
  }
  return {};
}

TlsFiles tls_files(const fs::path& directory) {
  return {directory / "ca.pem", directory / "server.pem",
          directory / "server.key"};
}

Expected<KeptCertificates> keep_certificates(
    const fs::path& directory, std::string_view cell, std::string_view server,
    const std::vector<std::string>& names, std::int64_t now_seconds,
    bool anew) {
  const auto authorities = load_authorities(directory, cell, now_seconds);
  if (!authorities) return tl::unexpected(authorities.error());
  const TlsFiles files = tls_files(directory);
  const auto present = read_private_file(files.certificate);
  const auto key = read_private_file(files.key);
  const bool due =
      !present || !key ||
      needs_renewal({*present, *key}, *authorities, names, now_seconds);
  if (!due && !anew) return KeptCertificates{trust_bundle(*authorities), false};
  const auto made =
      make_server_certificate(authorities->front(), server, names, now_seconds);
  if (!made) return tl::unexpected(made.error());
  auto status = write_private_file(files.key, made->key);
  if (status) status = write_private_file(files.certificate, made->certificate);
  if (!status) return tl::unexpected(status.error());
  return KeptCertificates{trust_bundle(*authorities), true};
}

}  // namespace reeve::bus
