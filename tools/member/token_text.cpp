#include "tools/member/token_text.hpp"

#include <fmt/format.h>
#include <sodium/utils.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "bus/credentials.hpp"
#include "bus/server_config.hpp"
#include "cluster/nkey.hpp"
#include "cluster/program.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {
namespace {

namespace json = boost::json;

constexpr std::string_view prefix = "reeve1:";
constexpr int alphabet = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

tl::unexpected<Error> refuse(std::string_view what) {
  return fail(Errc::usage,
              fmt::format("this is no whole token: {}. \"reeve token create\" "
                          "prints one as a single line; copy all of it",
                          what));
}

std::string encode(std::string_view bytes) {
  std::string out(sodium_base64_encoded_len(bytes.size(), alphabet), '\0');
  ::sodium_bin2base64(out.data(), out.size(),
                      reinterpret_cast<const unsigned char*>(bytes.data()),
                      bytes.size(), alphabet);
  out.pop_back();  // its length counts the end of a C string
  return out;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out(text.size(), '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  const int failed = ::sodium_base642bin(
      reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
      text.size(), nullptr, &size, &end, alphabet);
  if (failed != 0 || end != text.data() + text.size()) return std::nullopt;
  out.resize(size);
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
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
      array->size() > bus::credentials_urls_max)
    return false;
  for (const json::value& one : *array) {
    const json::string* url = one.if_string();
    if (url == nullptr || !bus::valid_url({url->data(), url->size()}))
      return false;
    to.emplace_back(url->data(), url->size());
  }
  return true;
}

bool take_id(const json::object& object, std::uint64_t& to) {
  const json::value* found = object.if_contains("id");
  if (found == nullptr) return false;
  json::error_code error;
  to = found->to_number<std::uint64_t>(error);
  return !error && to != 0;
}

bool take_role(const json::object& object, schema::IdentityRole& to) {
  std::string word;
  if (!take(object, "role", word)) return false;
  for (const auto role : schema::EnumValuesIdentityRole())
    if (word == schema::EnumNameIdentityRole(role)) {
      to = role;
      return true;
    }
  return false;
}

// Absent in a token of protocol 1.
bool take_program(const json::object& object, JoinToken& token) {
  const auto take_number = [&](const char* key, std::uint32_t& to) {
    const json::value* found = object.if_contains(key);
    if (found == nullptr) return true;
    json::error_code error;
    to = found->to_number<std::uint32_t>(error);
    return !error;
  };
  if (object.contains("version") && !take(object, "version", token.version))
    return false;
  return cluster::valid_version(token.version) &&
         take_number("protocol", token.protocol) &&
         take_number("protocol_oldest", token.protocol_oldest);
}

// Its names and addresses are checked with the settings that they go into.
bool take_manager(const json::object& object, JoinToken& token) {
  const json::value* members = object.if_contains("members");
  const json::value* port = object.if_contains("cluster_port");
  json::error_code error;
  if (members == nullptr || !members->is_object() || port == nullptr)
    return false;
  if (members->get_object().size() > managers_max) return false;
  token.cluster_port = port->to_number<std::uint32_t>(error);
  for (const auto& [name, address] : members->get_object()) {
    if (!address.is_string()) return false;
    token.members.emplace_back(std::string(name),
                               std::string(address.get_string()));
  }
  return !error && take(object, "ca_key", token.ca_key) &&
         !token.ca_key.empty() && !token.ca.empty();
}

// Absent in a token of an older program.
bool take_ask(const json::object& object, JoinToken::Ask& to) {
  const json::value* found = object.if_contains("ask");
  if (found == nullptr) return true;
  const json::object* ask = found->if_object();
  return ask != nullptr && take(*ask, "url", to.url) &&
         bus::valid_url(to.url) && take(*ask, "principal", to.principal) &&
         bus::valid_name(to.principal) && take(*ask, "seed", to.seed) &&
         cluster::parse_user_seed(to.seed);
}

}  // namespace

std::string join_token_text(const JoinToken& token) {
  json::object object{
      {"cell", token.cell},
      {"urls", json::array(token.urls.begin(), token.urls.end())},
      {"ca", token.ca},
      {"id", token.id},
      {"role", schema::EnumNameIdentityRole(token.role)},
      {"name", token.name},
      {"seed", token.seed},
      {"version", token.version},
      {"protocol", token.protocol},
      {"protocol_oldest", token.protocol_oldest}};
  if (token.role == schema::IdentityRole::manager) {
    json::object members;
    for (const auto& [name, address] : token.members) members[name] = address;
    object["ca_key"] = token.ca_key;
    object["members"] = std::move(members);
    object["cluster_port"] = token.cluster_port;
    if (!token.ask.url.empty())
      object["ask"] = json::object{{"url", token.ask.url},
                                   {"principal", token.ask.principal},
                                   {"seed", token.ask.seed}};
  }
  return std::string(prefix) + encode(json::serialize(object));
}

Expected<JoinToken> parse_join_token(std::string_view text) {
  text = trimmed(text);
  if (text.size() > join_token_bytes_max)
    return refuse(fmt::format("it has {} characters, and none has more than {}",
                              text.size(), join_token_bytes_max));
  if (!text.starts_with("reeve"))
    return refuse(fmt::format("it does not begin with \"{}\"", prefix));
  if (!text.starts_with(prefix))
    return refuse(
        fmt::format("it does not begin with \"{}\": a newer reeve "
                    "made it, or it was cut",
                    prefix));
  const auto bytes = decode(text.substr(prefix.size()));
  if (!bytes)
    return refuse("it was cut, or has a character that is none of it");
  json::error_code error;
  const json::value value = json::parse({bytes->data(), bytes->size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return refuse("a part of it is missing");
  JoinToken token;
  if (!take(*object, "cell", token.cell) || !bus::valid_name(token.cell))
    return refuse("it does not tell its cell");
  if (!take_program(*object, token))
    return refuse("it does not tell what made it");
  if (!take_urls(*object, token.urls))
    return refuse("it does not tell where the bus of its cell is");
  if (!take_role(*object, token.role))
    return refuse("it is for a role that this reeve does not know");
  if (!take(*object, "name", token.name))
    return refuse("it does not tell whom it is for");
  if (token.role == schema::IdentityRole::manager) {
    if (!take(*object, "ca", token.ca) || !take_manager(*object, token))
      return refuse("it does not tell the managers of its cell and their key");
    std::string seed;
    if (take(*object, "seed", seed) && seed.empty()) {
      if (!take_ask(*object, token.ask))
        return refuse("it does not tell whom to ask about its manager");
      return token;
    }
  }
  if (!take_id(*object, token.id)) return refuse("it has no number");
  if (!take(*object, "seed", token.seed) ||
      !cluster::parse_user_seed(token.seed))
    return refuse("its key is damaged");
  const bool tls =
      std::any_of(token.urls.begin(), token.urls.end(),
                  [](const auto& url) { return bus::is_tls(url); });
  if (!take(*object, "ca", token.ca) || (tls && token.ca.empty()))
    return refuse("it has no certificate to know its cell by");
  return token;
}

}  // namespace reeve::tools
