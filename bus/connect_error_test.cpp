#include "bus/connect_error.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::bus::connect_error_test {
namespace {

struct Row {
  natsStatus status;
  const char* detail;
  Errc code;
  const char* said;
};

constexpr Row rows[] = {
    {NATS_NO_SERVER, "", Errc::unreachable, "No server available"},
    {NATS_TIMEOUT, "", Errc::unreachable, "Timeout"},
    // What the server says to a side that is slow in its handshake.
    {NATS_ERR, "Authentication Timeout", Errc::unreachable,
     "broke off the connection of ann: Authentication Timeout"},
    {NATS_PROTOCOL_ERROR, "", Errc::unreachable, "Protocol Error"},
    {NATS_CONNECTION_AUTH_FAILED, "", Errc::rejected,
     "ask an admin of main for a new token"},
    {NATS_SECURE_CONNECTION_WANTED, "", Errc::rejected, "does not speak TLS"},
    // A clock that is not set yet.
    {NATS_SSL_ERROR, "SSL handshake error: 10:certificate has expired",
     Errc::unreachable, "compare the clocks"},
    {NATS_SSL_ERROR, "SSL handshake error: 9:certificate is not yet valid",
     Errc::unreachable, "compare the clocks"},
    {NATS_SSL_ERROR, "SSL handshake error: 20:unable to get local issuer",
     Errc::rejected, "another cell"},
    {NATS_SSL_ERROR, "SSL handshake error: 62:hostname mismatch",
     Errc::rejected, "bus.advertise of its cell.toml"},
    {NATS_SSL_ERROR, "(conn.c:733): SSL handshake error: wrong version number",
     Errc::rejected, "cannot agree on TLS"},
    // The server was killed in the middle of the handshake.
    {NATS_SSL_ERROR, "(conn.c:733): SSL handshake error: (null)",
     Errc::unreachable, "broke off the connection of ann"},
    {NATS_SSL_ERROR, "SSL handshake error: unexpected eof while reading",
     Errc::unreachable, "broke off the connection of ann"},
};

}  // namespace

// Who gets Errc::unreachable tries again; any other error is for good.
BOOST_AUTO_TEST_CASE(what_passes_is_told_from_what_is_for_good) {
  Credentials credentials;
  credentials.urls = {"tls://host:4222"};
  credentials.principal = "ann";
  credentials.cell = "main";
  credentials.ca = "its own";
  for (const Row& row : rows) {
    const Error error = connect_error(row.status, row.detail, credentials);
    BOOST_TEST((error.code == row.code), error.text);
    BOOST_TEST(error.text.find(row.said) != std::string::npos, error.text);
    BOOST_TEST(error.text.find("tls://host:4222") != std::string::npos);
  }
}

}  // namespace reeve::bus::connect_error_test
