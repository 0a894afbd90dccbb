// Where a server listens or is reached: HOST:PORT, [IPv6]:PORT. Pure text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace reeve::bus {

// The longest name that DNS has.
inline constexpr std::size_t host_bytes_max = 253;

struct Address {
  std::string host;  // a name or an address, without brackets
  int port = 0;
  bool operator==(const Address&) const = default;
};

std::string address_text(const Address& address);
// Nothing unless it is a valid host and a port of 0 to 65,535.
std::optional<Address> parse_address(std::string_view text);

// Letters, digits, '.', '-', '_', 1 to host_bytes_max of them, or an IPv6
// address.
bool valid_host(std::string_view host);
bool is_ipv6(std::string_view host);
bool is_loopback(std::string_view host);

}  // namespace reeve::bus
