// Who one is on the bus and where it is, kept in one file that only its owner
// may read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bus/address.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

inline constexpr std::size_t credentials_urls_max = 16;

struct Credentials {
  // nats://127.0.0.1:4222 or tls://n1.example.org:4222; tried in this order.
  std::vector<std::string> urls;
  std::string principal;
  std::string seed;  // of its key (bus/nkey.hpp)
  std::string cell;
  // The certificates (PEM) that the cell's servers are known by; empty where
  // no url is tls://.
  std::string ca;

  bool operator==(const Credentials&) const = default;
};

// Whether `url` is nats://HOST:PORT or tls://HOST:PORT with a port of 1 or
// more, and nothing else. A certificate is checked against the host, which
// the bus library cannot for an IPv6 address: tls:// needs a name or IPv4.
bool valid_url(std::string_view url);
bool is_tls(std::string_view url);
// Of a valid url; the host is without brackets.
Address address_of(std::string_view url);

// Of the server on another host that listens as that of `url` does.
std::string url_beside(std::string_view url, std::string_view host);

// JSON with the members' names. Errc::damaged when text holds anything else,
// or more than its bounds.
std::string credentials_text(const Credentials& credentials);
Expected<Credentials> parse_credentials(std::string_view text);

// Replaces the file as a whole; mode 0600.
Status save_credentials(const std::filesystem::path& file,
                        const Credentials& credentials);

// The urls are those that remember_servers keeps, in its order, and then the
// others of the file. Errc::not_found without the file,
// Errc::damaged when it does not parse, Errc::rejected when others may read it.
Expected<Credentials> load_credentials(const std::filesystem::path& file);

// Keeps beside the credentials that the cell's servers are on these hosts, in
// the place of what it was told before, and first `in_use`, the url by which it
// was told: what is told may be wrong. True if the urls are others now, in
// whatever order.
Expected<bool> remember_servers(const std::filesystem::path& file,
                                const std::vector<std::string>& hosts,
                                const std::string& in_use);
// Of what it keeps, this url comes first from now on; when it was told stays,
// or is long ago. Nothing where the credentials are another user's: root's file
// would be closed to them.
Status prefer_server(const std::filesystem::path& file, const std::string& url);
// The file that both keep.
std::filesystem::path servers_path(const std::filesystem::path& file);

// Where the server of a data directory keeps what the CLI needs.
std::filesystem::path client_credentials_path(
    const std::filesystem::path& data_directory);
// And where a host keeps those by which it joined a cell as a node.
std::filesystem::path agent_credentials_path(
    const std::filesystem::path& data_directory);

}  // namespace reeve::bus
