#include "bus/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace reeve::bus {
namespace {

constexpr int port_max = 65'535;
constexpr std::size_t port_digits_max = 5;

bool is_ipv4(std::string_view host) {
  in_addr parsed{};
  return ::inet_pton(AF_INET, std::string(host).c_str(), &parsed) == 1;
}

}  // namespace

bool is_ipv6(std::string_view host) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, std::string(host).c_str(), &parsed) == 1;
}

bool valid_host(std::string_view host) {
  if (is_ipv6(host)) return true;
  return !host.empty() && host.size() <= host_bytes_max &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
         });
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" ||
         (is_ipv4(host) && host.starts_with("127."));
}

std::string address_text(const Address& address) {
  if (is_ipv6(address.host))
    return fmt::format("[{}]:{}", address.host, address.port);
  return fmt::format("{}:{}", address.host, address.port);
}

std::optional<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  if (!valid_host(host) || is_ipv6(host) != brackets) return std::nullopt;
  Address address{std::string(host), 0};
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, address.port);
  if (digits.empty() || digits.size() > port_digits_max || parsed.ptr != end ||
      parsed.ec != std::errc() || address.port < 0 || address.port > port_max)
    return std::nullopt;
  return address;
}

}  // namespace reeve::bus
