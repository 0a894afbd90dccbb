#include "bus/connect_error.hpp"

#include <fmt/format.h>
#include <openssl/x509_vfy.h>

#include <charconv>

#include "bus/connection_impl.hpp"

namespace reeve::bus {
namespace {

std::string places(const Credentials& credentials) {
  return fmt::format("{}", fmt::join(credentials.urls, ", "));
}

// The library writes OpenSSL's number of the failure first:
// "SSL handshake error: 10:certificate has expired:depth=0:...".
int verify_error(std::string_view detail) {
  constexpr std::string_view before = "SSL handshake error: ";
  const std::size_t found = detail.find(before);
  if (found == std::string_view::npos) return X509_V_OK;
  detail.remove_prefix(found + before.size());
  int code = X509_V_OK;
  const char* end = detail.data() + detail.size();
  const auto parsed = std::from_chars(detail.data(), end, code);
  return parsed.ptr != end && *parsed.ptr == ':' ? code : X509_V_OK;
}

// Not what the other side thinks of TLS: it ended in the middle, and OpenSSL
// has no reason or this one.
bool broke_off(std::string_view detail) {
  return detail.empty() || detail.ends_with(": (null)") ||
         detail.find("unexpected eof") != std::string_view::npos;
}

// A host that has just begun may not have its time yet.
bool passes(int code) {
  return code == X509_V_ERR_CERT_HAS_EXPIRED ||
         code == X509_V_ERR_CERT_NOT_YET_VALID;
}

std::string why_refused(int code, const Credentials& credentials) {
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "shows a certificate that has expired: compare the clocks of "
             "both hosts; reeved renews its certificate while it runs";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "shows a certificate that is not valid yet: compare the clocks of "
             "both hosts";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "shows a certificate that was made for other names: add this one "
             "to bus.advertise of its cell.toml, or use one that is there";
    case X509_V_OK: return "and this side cannot agree on TLS";
    default: break;
  }
  if (credentials.ca.empty())
    return "wants TLS, and these credentials name no certificate to trust: "
           "take them anew from a host of the cell";
  return fmt::format(
      "shows a certificate that the CA of cell {} did not sign: it is of "
      "another cell, or the cell has a new CA and these credentials are older",
      credentials.cell);
}

}  // namespace

Error unknown_key(const Credentials& credentials) {
  return {Errc::rejected,
          fmt::format("the bus at {} does not know the key of {}: it was "
                      "revoked, or is of another cell; ask an admin of {} for "
                      "a new token (reeve token create), and join by it in an "
                      "empty directory",
                      places(credentials), credentials.principal,
                      credentials.cell)};
}

bool is_unknown_key(const Error& error, const Credentials& credentials) {
  const Error expected = unknown_key(credentials);
  return error.code == expected.code && error.text == expected.text;
}

Error connect_error(natsStatus status, std::string_view detail,
                    const Credentials& credentials) {
  if (status == NATS_CONNECTION_AUTH_FAILED) return unknown_key(credentials);
  if (status == NATS_SECURE_CONNECTION_WANTED)
    return {Errc::rejected,
            fmt::format("the bus at {} does not speak TLS, which these "
                        "credentials want: it is of another cell, or listens "
                        "on loopback alone now",
                        places(credentials))};
  const bool ended = status == NATS_SSL_ERROR && broke_off(detail);
  if (status == NATS_SSL_ERROR && !ended) {
    const int why = verify_error(detail);
    return {passes(why) ? Errc::unreachable : Errc::rejected,
            fmt::format("the bus at {} {} ({})", places(credentials),
                        why_refused(why, credentials), detail)};
  }
  // Not for good: it waits for each side but so long, or was ended meanwhile.
  if (status == NATS_ERR || status == NATS_PROTOCOL_ERROR || ended)
    return {Errc::unreachable,
            fmt::format("the bus at {} broke off the connection of {}: {}",
                        places(credentials), credentials.principal,
                        detail.empty() ? natsStatus_GetText(status) : detail)};
  return error_of(
      status, fmt::format("connect to the bus at {} as {}", places(credentials),
                          credentials.principal));
}

}  // namespace reeve::bus
