// Links beyond loopback: certificates, their errors and their rotation.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <thread>

#include "bus/certificates.hpp"
#include "bus/private_file.hpp"
#include "bus/server_files.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus::tls_test {
namespace {

using testing::bytes_of;
using testing::Cell;
using testing::eventually;
using testing::patience;
using testing::text_of;

void beyond_loopback(ServerOptions& options) {
  options.host = "0.0.0.0";
}

std::int64_t wall_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

constexpr std::int64_t day = 86'400;

Expected<std::unique_ptr<Connection>> connect(const Credentials& credentials) {
  ConnectionOptions options;
  options.credentials = credentials;
  options.connect_timeout = patience;
  return Connection::connect(options);
}

std::string why_not(const Credentials& credentials,
                    Errc code = Errc::rejected) {
  const auto made = connect(credentials);
  if (made) return "connected";
  BOOST_TEST((made.error().code == code), made.error().text);
  return made.error().text;
}

#define CHECK_SAYS(text, part) \
  BOOST_TEST(std::string(text).find(part) != std::string::npos, text)

std::filesystem::path bus_folder(const Cell& cell) {
  return cell.directory.path() / "bus";
}

std::string file_text(const std::filesystem::path& file) {
  const auto text = read_private_file(file);
  BOOST_REQUIRE(text.has_value());
  return *text;
}

// The certificate that the server shows to who comes now, as PEM.
std::string shown(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  BOOST_REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address),
                          sizeof address) == 0);
  char letter = 0;  // the greeting is plain, and one line
  while (letter != '\n') BOOST_REQUIRE(::recv(fd, &letter, 1, 0) == 1);
  SSL_CTX* context = ::SSL_CTX_new(::TLS_client_method());
  SSL* ssl = ::SSL_new(context);
  ::SSL_set_fd(ssl, fd);
  BOOST_REQUIRE(::SSL_connect(ssl) == 1);
  X509* certificate = ::SSL_get1_peer_certificate(ssl);
  BIO* bio = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_X509(bio, certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  const std::string pem(data, static_cast<std::size_t>(size));
  ::BIO_free(bio);
  ::X509_free(certificate);
  ::SSL_free(ssl);
  ::SSL_CTX_free(context);
  ::close(fd);
  return pem;
}

// As the server would have made it at another time.
void plant_certificate(const Cell& cell, std::int64_t made_at) {
  const auto folder = bus_folder(cell);
  const auto authorities = parse_authorities(file_text(folder / "ca.pem"),
                                             file_text(folder / "ca.key"));
  BOOST_REQUIRE(authorities.has_value());
  const auto made = make_server_certificate(
      authorities->front(), "c", {"localhost", "127.0.0.1"}, made_at);
  BOOST_REQUIRE(made.has_value());
  BOOST_REQUIRE(
      write_private_file(folder / "server.key", made->key).has_value());
  BOOST_REQUIRE(
      write_private_file(folder / "server.pem", made->certificate).has_value());
}

BOOST_AUTO_TEST_SUITE(tls)

BOOST_AUTO_TEST_CASE(requests_are_answered_and_files_are_private) {
  Cell cell(beyond_loopback);
  BOOST_TEST(cell.server->tls());
  BOOST_TEST(cell.server->url().starts_with("tls://127.0.0.1:"));
  auto server = cell.connect(Role::daemon);
  auto client = cell.connect(Role::user);
  BOOST_REQUIRE(server
                    ->subscribe(cell.subjects.queries(),
                                [&](const Message& message) {
                                  (void)server->publish(message.reply,
                                                        message.data);
                                })
                    .has_value());
  BOOST_REQUIRE(server->flush(patience).has_value());
  for (const std::size_t size : {std::size_t{1}, message_bytes_max}) {
    const std::string sent(size, 'x');
    const auto answer =
        client->request(cell.subjects.query("local"), bytes_of(sent), patience);
    BOOST_REQUIRE_MESSAGE(answer,
                          (answer ? std::string() : answer.error().text));
    BOOST_TEST(text_of(*answer) == sent);
  }
  for (const char* name :
       {"ca.pem", "ca.key", "server.pem", "server.key", "users.json"})
    if (std::filesystem::exists(bus_folder(cell) / name))
      BOOST_TEST(read_private_file(bus_folder(cell) / name).has_value());
}

BOOST_AUTO_TEST_CASE(others_are_told_where_and_by_what_to_know_the_bus) {
  Cell cell([](ServerOptions& options) {
    beyond_loopback(options);
    options.advertised = {"n1.lab", "10.9.8.7:4333"};
  });
  const auto client =
      load_credentials(client_credentials_path(cell.directory.path()));
  BOOST_REQUIRE(client.has_value());
  const std::string port = std::to_string(cell.server->port());
  BOOST_TEST(
      client->urls == (std::vector<std::string>{"tls://127.0.0.1:" + port,
                                                "tls://n1.lab:" + port,
                                                "tls://10.9.8.7:4333"}),
      boost::test_tools::per_element());
  BOOST_TEST(client->ca == file_text(bus_folder(cell) / "ca.pem"));
  const auto facts =
      read_certificate(file_text(bus_folder(cell) / "server.pem"));
  BOOST_REQUIRE(facts.has_value());
  BOOST_TEST(facts->names == (std::vector<std::string>{"10.9.8.7", "127.0.0.1",
                                                       "localhost", "n1.lab"}),
             boost::test_tools::per_element());
}

// Both directions of both ends at once, in small and large messages.
BOOST_AUTO_TEST_CASE(nothing_is_lost_when_both_sides_send_at_once) {
  Cell cell(beyond_loopback);
  constexpr std::uint64_t count = 5'000;
  auto one = cell.connect(Role::daemon, true);
  auto two = cell.connect(Role::daemon, false);
  std::atomic<std::uint64_t> from_one{0};
  std::atomic<std::uint64_t> from_two{0};
  BOOST_REQUIRE(
      two->subscribe("reeve.c.stat.one", [&](const Message&) { ++from_one; })
          .has_value());
  BOOST_REQUIRE(
      one->subscribe("reeve.c.stat.two", [&](const Message&) { ++from_two; })
          .has_value());
  BOOST_REQUIRE(two->flush(patience).has_value());
  BOOST_REQUIRE(one->flush(patience).has_value());
  const auto send = [](Connection& by, const char* subject) {
    const std::string large(40'000, 'x');
    for (std::uint64_t i = 0; i < count; ++i)
      (void)by.publish(subject, bytes_of(i % 50 == 0 ? large : "small"));
  };
  std::thread first([&] { send(*one, "reeve.c.stat.one"); });
  std::thread second([&] { send(*two, "reeve.c.stat.two"); });
  first.join();
  second.join();
  BOOST_TEST(eventually([&] { return from_one == count; }));
  BOOST_TEST(eventually([&] { return from_two == count; }));
  BOOST_TEST(one->stats().reconnects == 0u);
  BOOST_TEST(two->stats().reconnects == 0u);
}

BOOST_AUTO_TEST_CASE(a_connection_comes_back_after_the_server_died) {
  Cell cell(beyond_loopback);
  auto server = cell.connect(Role::daemon);
  auto client = cell.connect(Role::user);
  BOOST_REQUIRE(server
                    ->subscribe(cell.subjects.queries(),
                                [&](const Message& message) {
                                  (void)server->publish(message.reply,
                                                        message.data);
                                })
                    .has_value());
  BOOST_REQUIRE(server->flush(patience).has_value());
  ::kill(cell.server->pid(), SIGKILL);
  BOOST_REQUIRE(eventually([&] { return cell.server->restarts() == 1; }));
  BOOST_TEST(eventually([&] {
    return client
        ->request(cell.subjects.query("local"), bytes_of("again"),
                  std::chrono::milliseconds(500))
        .has_value();
  }));
  BOOST_TEST(server->stats().reconnects >= 1u);
}

// As a host that fell off the network: it closes nothing and says nothing.
BOOST_AUTO_TEST_CASE(a_connection_leaves_a_server_that_is_silent) {
  Cell cell(beyond_loopback);
  BOOST_TEST((ConnectionOptions().silence == silence_max));
  std::atomic<int> left{0};
  auto options = cell.options(Role::user);
  options.connect_timeout = std::chrono::milliseconds(2'000);
  options.silence = std::chrono::milliseconds(2'000);
  options.on_state = [&](State state) {
    if (state == State::disconnected) ++left;
  };
  auto connection = Connection::connect(options);
  BOOST_REQUIRE(connection.has_value());
  // One that has nothing to say answers pings, and stays.
  std::this_thread::sleep_for(2 * options.silence);
  BOOST_TEST(left == 0);
  ::kill(cell.server->pid(), SIGSTOP);
  BOOST_TEST(eventually([&] { return left == 1; }));
  ::kill(cell.server->pid(), SIGCONT);
  BOOST_TEST(eventually([&] { return (*connection)->connected(); }));
  connection->reset();
}

BOOST_AUTO_TEST_CASE(connections_may_end_while_messages_arrive) {
  Cell cell(beyond_loopback);
  auto sender = cell.connect(Role::daemon, false);
  std::atomic<bool> done{false};
  std::thread load([&] {
    while (!done) {
      (void)sender->publish(cell.subjects.stat("n"), bytes_of("load"));
      if (sender->stats().published % 512 == 0) (void)sender->flush(patience);
    }
  });
  for (int cycle = 0; cycle < 20; ++cycle) {
    std::atomic<std::uint64_t> seen{0};
    auto receiver = cell.connect(Role::daemon);
    BOOST_REQUIRE(
        receiver
            ->subscribe(cell.subjects.stats(), [&](const Message&) { ++seen; })
            .has_value());
    BOOST_REQUIRE(eventually([&] { return seen > 10; }));
    (void)receiver->publish(cell.subjects.stat("m"), bytes_of("last"));
    receiver.reset();
  }
  done = true;
  load.join();
}

BOOST_AUTO_TEST_CASE(a_bus_of_another_cell_is_refused) {
  Cell cell(beyond_loopback);
  auto stranger = cell.server->credentials(Role::user);
  const auto other = make_authority("c", wall_seconds());
  BOOST_REQUIRE(other.has_value());
  stranger.ca = other->certificate;
  CHECK_SAYS(why_not(stranger),
             "shows a certificate that the CA of cell c did not sign");
  // Nor does it help that the host trusts that bus.
  ::setenv("SSL_CERT_FILE", (bus_folder(cell) / "ca.pem").c_str(), 1);
  CHECK_SAYS(why_not(stranger), "did not sign");
  ::unsetenv("SSL_CERT_FILE");
}

BOOST_AUTO_TEST_CASE(a_server_under_another_name_is_refused) {
  Cell cell(beyond_loopback);
  auto elsewhere = cell.server->credentials(Role::user);
  elsewhere.urls = {"tls://127.0.0.2:" + std::to_string(cell.server->port())};
  CHECK_SAYS(why_not(elsewhere), "was made for other names");
}

BOOST_AUTO_TEST_CASE(a_certificate_out_of_its_time_is_refused) {
  Cell cell(beyond_loopback);
  const auto credentials = cell.server->credentials(Role::user);
  const std::string good = shown(cell.server->port());
  plant_certificate(cell, wall_seconds() - 2 * certificate_days * day);
  ::kill(cell.server->pid(), SIGHUP);
  BOOST_REQUIRE(eventually([&] { return shown(cell.server->port()) != good; }));
  CHECK_SAYS(why_not(credentials, Errc::unreachable), "has expired");
  const std::string expired = shown(cell.server->port());
  plant_certificate(cell, wall_seconds() + day);
  ::kill(cell.server->pid(), SIGHUP);
  BOOST_REQUIRE(
      eventually([&] { return shown(cell.server->port()) != expired; }));
  CHECK_SAYS(why_not(credentials, Errc::unreachable), "is not valid yet");
}

BOOST_AUTO_TEST_CASE(plain_and_encrypted_sides_tell_one_another_apart) {
  Cell encrypted(beyond_loopback);
  auto plain = encrypted.server->credentials(Role::user);
  plain.urls = {"nats://127.0.0.1:" + std::to_string(encrypted.server->port())};
  plain.ca.clear();
  CHECK_SAYS(why_not(plain), "wants TLS");
  Cell open;
  auto sure = encrypted.server->credentials(Role::user);
  sure.urls = {"tls://127.0.0.1:" + std::to_string(open.server->port())};
  CHECK_SAYS(why_not(sure), "does not speak TLS");
}

BOOST_AUTO_TEST_CASE(who_is_connected_stays_when_the_certificate_is_renewed) {
  Cell cell(beyond_loopback);
  auto before = cell.connect(Role::user);
  const std::string first = shown(cell.server->port());
  cell.server->renew_certificate();
  BOOST_REQUIRE(eventually([&] { return cell.server->reloads() == 1; }));
  const std::string second = shown(cell.server->port());
  BOOST_TEST(first != second);
  BOOST_TEST(second == file_text(bus_folder(cell) / "server.pem"));
  BOOST_TEST(cell.connect(Role::user)->flush(patience).has_value());
  BOOST_TEST(before->flush(patience).has_value());
  BOOST_TEST(before->stats().reconnects == 0u);
}

BOOST_AUTO_TEST_CASE(a_certificate_that_is_due_is_renewed_by_itself) {
  std::atomic<int> told{0};
  Cell cell([&](ServerOptions& options) {
    beyond_loopback(options);
    options.check_interval = std::chrono::milliseconds(20);
    options.on_event = [&](const std::string& text) {
      if (text.find("new certificate") != std::string::npos) ++told;
    };
  });
  auto before = cell.connect(Role::user);
  const std::string first = shown(cell.server->port());
  plant_certificate(cell, wall_seconds() - (certificate_days - 5) * day);
  BOOST_TEST(eventually([&] { return told >= 1; }));
  BOOST_TEST(eventually([&] { return shown(cell.server->port()) != first; }));
  const auto facts = read_certificate(shown(cell.server->port()));
  BOOST_REQUIRE(facts.has_value());
  BOOST_TEST(facts->ends_seconds >
             wall_seconds() + (certificate_days - 1) * day);
  BOOST_TEST(before->flush(patience).has_value());
  BOOST_TEST(before->stats().reconnects == 0u);
  cell.server.reset();  // before what its events count in
}

// The new authority is brought to all, then signs, then is the only one.
BOOST_AUTO_TEST_CASE(an_authority_is_replaced_in_three_steps) {
  Cell cell(beyond_loopback);
  const auto folder = bus_folder(cell);
  const auto next = make_authority("c", wall_seconds());
  BOOST_REQUIRE(next.has_value());
  const Certificate old{file_text(folder / "ca.pem"),
                        file_text(folder / "ca.key")};
  const auto restart_with = [&](const Authorities& authorities) {
    std::string keys;
    for (const Certificate& one : authorities) keys += one.key;
    cell.server->stop();
    BOOST_REQUIRE(
        write_private_file(folder / "ca.pem", trust_bundle(authorities))
            .has_value());
    BOOST_REQUIRE(write_private_file(folder / "ca.key", keys).has_value());
    ServerOptions options;
    options.data_directory = cell.directory.path();
    options.cell = "c";
    beyond_loopback(options);
    auto started = Server::start_or_adopt(options);
    BOOST_REQUIRE_MESSAGE(started,
                          (started ? std::string() : started.error().text));
    cell.server = std::move(*started);
  };
  const auto with_old = cell.server->credentials(Role::user);
  restart_with({old, *next});
  const auto with_both = cell.server->credentials(Role::user);
  BOOST_TEST(connect(with_old).has_value());
  BOOST_TEST(connect(with_both).has_value());
  restart_with({*next, old});
  BOOST_TEST(connect(with_both).has_value());
  CHECK_SAYS(why_not(with_old), "did not sign");
  restart_with({*next});
  BOOST_TEST(connect(cell.server->credentials(Role::user)).has_value());
  BOOST_TEST(connect(with_both).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::bus::tls_test
