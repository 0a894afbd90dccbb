#include "bus/cluster_servers.hpp"

#include <fmt/format.h>
#include <sodium/crypto_hash_sha256.h>

#include <boost/json.hpp>
#include <optional>

#include "bus/jetstream.hpp"

namespace reeve::bus {
namespace {

namespace json = boost::json;

Expected<json::object> ask(Connection& system, const std::string& subject,
                           const json::object& body,
                           std::chrono::milliseconds timeout) {
  const std::string text = json::serialize(body);
  const auto answer = system.request(
      subject, {reinterpret_cast<const std::byte*>(text.data()), text.size()},
      timeout);
  if (!answer) return tl::unexpected(answer.error());
  const Bytes bytes = *answer;
  json::error_code error;
  json::value value = json::parse(
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, error);
  if (error || !value.is_object())
    return fail(Errc::damaged, fmt::format("{}: an answer of {} bytes that is "
                                           "none",
                                           subject, bytes.size()));
  return std::move(value.get_object());
}

const json::object* object_in(const json::object* object, const char* key) {
  const json::value* found = object ? object->if_contains(key) : nullptr;
  return found ? found->if_object() : nullptr;
}

void add_id(const json::object* server, std::vector<std::string>& out) {
  const json::value* found = server ? server->if_contains("peer") : nullptr;
  const json::string* id = found ? found->if_string() : nullptr;
  if (id != nullptr && !id->empty()) out.emplace_back(id->data(), id->size());
}

Expected<json::object> ask_leader(Connection& system,
                                  std::chrono::milliseconds timeout) {
  const auto answer =
      ask(system, "$SYS.REQ.SERVER.PING.JSZ", {{"leader_only", true}}, timeout);
  if (!answer) return tl::unexpected(answer.error());
  const json::object* cluster =
      object_in(object_in(&*answer, "data"), "meta_cluster");
  return cluster ? *cluster : json::object();
}

}  // namespace

// As the server does it.
std::string server_id(std::string_view name) {
  constexpr std::string_view digits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr std::size_t id_chars = 8;
  unsigned char hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, reinterpret_cast<const unsigned char*>(name.data()),
                     name.size());
  std::string id;
  for (std::size_t i = 0; i < id_chars; ++i)
    id += digits[hash[i] % digits.size()];
  return id;
}

Expected<std::vector<std::string>> stream_servers(
    Connection& system, std::chrono::milliseconds timeout) {
  const auto cluster = ask_leader(system, timeout);
  if (!cluster) return tl::unexpected(cluster.error());
  std::vector<std::string> ids;
  add_id(&*cluster, ids);
  const json::value* others = cluster->if_contains("replicas");
  if (others != nullptr && others->is_array())
    for (const json::value& one : others->get_array())
      add_id(one.if_object(), ids);
  if (ids.empty())
    return fail(Errc::damaged,
                "the bus servers do not tell which of them keep streams");
  return ids;
}

Status lead_servers_elsewhere(Connection& system, std::string_view name,
                              std::chrono::milliseconds timeout) {
  const auto cluster = ask_leader(system, timeout);
  if (!cluster) return tl::unexpected(cluster.error());
  if (!may_lead_elsewhere(*cluster, name)) return {};
  const auto answer = ask(system, "$JS.API.META.LEADER.STEPDOWN", {}, timeout);
  if (!answer) return tl::unexpected(answer.error());
  const json::object* refused = object_in(&*answer, "error");
  if (refused == nullptr) return {};
  return fail(Errc::rejected,
              fmt::format("bus server {} goes on to lead them: {}", name,
                          json::serialize(*refused)));
}

Status forget_stream_server(Connection& system, std::string_view id,
                            std::chrono::milliseconds timeout) {
  const auto answer = ask(system, "$JS.API.SERVER.REMOVE",
                          {{"peer", ""}, {"peer_id", id}}, timeout);
  if (!answer) return tl::unexpected(answer.error());
  const json::object* refused = object_in(&*answer, "error");
  if (refused == nullptr) return {};
  return fail(Errc::rejected, fmt::format("bus server {} is not forgotten: {}",
                                          id, json::serialize(*refused)));
}

}  // namespace reeve::bus
