#include "bus/credentials.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <sstream>

#include "bus/private_file.hpp"
#include "bus/server_config.hpp"
#include "cluster/nkey.hpp"

namespace reeve::bus {
namespace json = boost::json;
namespace {

constexpr std::string_view plain_scheme = "nats://";
constexpr std::string_view tls_scheme = "tls://";

// Nothing when it is no url of ours.
std::optional<Address> parse_url(std::string_view url) {
  const bool tls = is_tls(url);
  if (!tls && !url.starts_with(plain_scheme)) return std::nullopt;
  url.remove_prefix(tls ? tls_scheme.size() : plain_scheme.size());
  auto address = parse_address(url);
  if (!address || address->port == 0 || (tls && is_ipv6(address->host)))
    return std::nullopt;
  return address;
}

bool take(const json::object& object, const char* key, std::string& to) {
  const json::value* found = object.if_contains(key);
  const json::string* string = found ? found->if_string() : nullptr;
  if (string != nullptr) to.assign(string->data(), string->size());
  return string != nullptr;
}

bool take_urls(const json::object& object, std::vector<std::string>& to) {
  const json::value* found = object.if_contains("urls");
  const json::array* array = found ? found->if_array() : nullptr;
  if (array == nullptr || array->empty() ||
      array->size() > credentials_urls_max)
    return false;
  for (const json::value& one : *array) {
    const json::string* url = one.if_string();
    if (url == nullptr || !valid_url({url->data(), url->size()})) return false;
    to.emplace_back(url->data(), url->size());
  }
  return true;
}

// What is no url beside those that are there is left out, and too many are. Of
// a server that is not told any more its token may say what no other does, but
// it comes last.
void add_servers(std::vector<std::string>& urls, const std::string& told) {
  const auto is_in = [](const std::vector<std::string>& list) {
    return [&list](const std::string& url) {
      return std::find(list.begin(), list.end(), url) != list.end();
    };
  };
  std::size_t room = credentials_urls_max - urls.size();
  std::vector<std::string> servers;
  std::istringstream lines(told);
  for (std::string url; std::getline(lines, url);) {
    if (!valid_url(url) || is_tls(url) != is_tls(urls.front()) ||
        is_in(servers)(url))
      continue;
    if (!is_in(urls)(url)) {
      if (room == 0) continue;
      --room;
    }
    servers.push_back(url);
  }
  std::erase_if(urls, is_in(servers));
  urls.insert(urls.begin(), servers.begin(), servers.end());
}

// As old is a list that nobody told.
constexpr std::chrono::hours never_told{24 * 365};

std::string with_first(const std::string& url, const std::string& told) {
  std::string out = url + '\n';
  std::istringstream lines(told);
  for (std::string line; std::getline(lines, line);)
    if (line != url) out += line + '\n';
  return out;
}

// Without what is kept beside it.
Expected<Credentials> load_own(const std::filesystem::path& file) {
  auto text = read_private_file(file);
  if (!text) return tl::unexpected(text.error());
  auto credentials = parse_credentials(*text);
  if (!credentials)
    return fail(Errc::damaged,
                fmt::format("{} holds no credentials: {}; remove it and start "
                            "the daemon again, or join anew",
                            file.string(), credentials.error().text));
  return credentials;
}

}  // namespace

bool is_tls(std::string_view url) {
  return url.starts_with(tls_scheme);
}

bool valid_url(std::string_view url) {
  return parse_url(url).has_value();
}

Address address_of(std::string_view url) {
  return parse_url(url).value_or(Address{});
}

std::string url_beside(std::string_view url, std::string_view host) {
  return fmt::format("{}{}", is_tls(url) ? tls_scheme : plain_scheme,
                     address_text({std::string(host), address_of(url).port}));
}

std::string credentials_text(const Credentials& credentials) {
  const json::object object{
      {"urls", json::array(credentials.urls.begin(), credentials.urls.end())},
      {"principal", credentials.principal},
      {"seed", credentials.seed},
      {"cell", credentials.cell},
      {"ca", credentials.ca}};
  return json::serialize(object) + "\n";
}

Expected<Credentials> parse_credentials(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  Credentials credentials;
  const bool whole = object != nullptr &&
                     take_urls(*object, credentials.urls) &&
                     take(*object, "principal", credentials.principal) &&
                     take(*object, "seed", credentials.seed) &&
                     take(*object, "cell", credentials.cell) &&
                     take(*object, "ca", credentials.ca);
  if (!whole)
    return fail(Errc::damaged,
                "urls, principal, seed, cell and ca are not all there as JSON");
  if (!valid_name(credentials.principal) || !valid_name(credentials.cell))
    return fail(Errc::damaged, "the principal or the cell is no name");
  if (!cluster::parse_user_seed(credentials.seed))
    return fail(Errc::damaged, "the seed is not that of a bus key");
  const auto encrypted =
      std::count_if(credentials.urls.begin(), credentials.urls.end(), is_tls);
  if (encrypted != 0 &&
      (credentials.ca.empty() ||
       encrypted != static_cast<std::ptrdiff_t>(credentials.urls.size())))
    return fail(Errc::damaged,
                "where one url is tls://, all are, and certificates to trust "
                "are there");
  return credentials;
}

Status save_credentials(const std::filesystem::path& file,
                        const Credentials& credentials) {
  return write_private_file(file, credentials_text(credentials));
}

Expected<Credentials> load_credentials(const std::filesystem::path& file) {
  auto credentials = load_own(file);
  if (!credentials) return credentials;
  if (const auto told = read_private_file(servers_path(file)))
    add_servers(credentials->urls, *told);
  return credentials;
}

Expected<bool> remember_servers(const std::filesystem::path& file,
                                const std::vector<std::string>& hosts,
                                const std::string& in_use) {
  const auto before = load_credentials(file);
  if (!before) return tl::unexpected(before.error());
  std::string told;
  for (const std::string& host : hosts)
    told += url_beside(before->urls.front(), host) + '\n';
  if (!in_use.empty()) told = with_first(in_use, told);
  if (auto kept = write_private_file(servers_path(file), told); !kept)
    return tl::unexpected(kept.error());
  const auto after = load_credentials(file);
  if (!after) return tl::unexpected(after.error());
  return !std::is_permutation(after->urls.begin(), after->urls.end(),
                              before->urls.begin(), before->urls.end());
}

Status prefer_server(const std::filesystem::path& file,
                     const std::string& url) {
  const auto servers = servers_path(file);
  struct stat own {};
  if (::stat(file.c_str(), &own) != 0 || own.st_uid != ::geteuid()) return {};
  const auto told = read_private_file(servers);
  // Who asks anew after a while goes by the time of what was told.
  std::error_code never, ignored;
  auto told_at = std::filesystem::last_write_time(servers, never);
  if (never)
    told_at = std::filesystem::file_time_type::clock::now() - never_told;
  auto kept = write_private_file(servers, with_first(url, told.value_or("")));
  if (kept) std::filesystem::last_write_time(servers, told_at, ignored);
  return kept;
}

std::filesystem::path servers_path(const std::filesystem::path& file) {
  return std::filesystem::path(file).replace_extension(".servers");
}

std::filesystem::path client_credentials_path(
    const std::filesystem::path& data_directory) {
  return data_directory / "bus" / "client.json";
}

std::filesystem::path agent_credentials_path(
    const std::filesystem::path& data_directory) {
  return data_directory / "bus" / "agent.json";
}

}  // namespace reeve::bus
