#include "tools/daemon/metrics_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "bus/test_support.hpp"

namespace reeve::tools::metrics_server_test {
namespace {

using bus::testing::patience;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  return to;
}

// A socket at a port of loopback that nobody else has.
struct Port {
  Port() : file(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    BOOST_REQUIRE(::bind(file, address, size) == 0);
    BOOST_REQUIRE(::getsockname(file, address, &size) == 0);
    number = ntohs(at.sin_port);
  }
  ~Port() { ::close(file); }

  int file;
  std::uint16_t number = 0;
};

int connected(std::uint16_t port) {
  const int file = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in to = loopback(port);
  BOOST_REQUIRE(
      ::connect(file, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  return file;
}

std::string said(std::uint16_t port, const std::string& request) {
  const int file = connected(port);
  BOOST_REQUIRE(::write(file, request.data(), request.size()) ==
                static_cast<ssize_t>(request.size()));
  std::string answer;
  char part[4'096];
  for (ssize_t n = 0; (n = ::read(file, part, sizeof part)) > 0;)
    answer.append(part, static_cast<std::size_t>(n));
  ::close(file);
  return answer;
}

std::string get(std::uint16_t port, const std::string& what = "/metrics") {
  return said(port, "GET " + what + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

struct Served {
  // Says that three sessions run.
  void answer_queries() {
    const auto good = manager->subscribe(
        cell.subjects.queries(), [this](const bus::Message& message) {
          flatbuffers::FlatBufferBuilder builder;
          const std::vector<flatbuffers::Offset<schema::StateCount>> running = {
              schema::CreateStateCount(builder, schema::SessionState::running,
                                       3)};
          const auto body = schema::CreateStatusAnswerDirect(
              builder, "c", 1, 2, 1, 1, 1, true, &running);
          (void)manager->publish(
              message.reply,
              schema::finish(builder,
                             schema::CreateAnswer(
                                 builder, 12, schema::AnswerBody::StatusAnswer,
                                 body.Union())));
        });
    BOOST_REQUIRE(good.has_value());
    BOOST_REQUIRE(manager->flush(patience).has_value());
  }
  Expected<std::unique_ptr<MetricsServer>> start(std::uint16_t port) {
    return MetricsServer::start({fmt::format("127.0.0.1:{}", port),
                                 own.get(),
                                 cell.subjects,
                                 "reeved",
                                 {{"answers", own.get()}},
                                 &stats});
  }

  bus::testing::Cell cell;
  std::unique_ptr<bus::Connection> manager = cell.connect(bus::Role::daemon);
  std::unique_ptr<bus::Connection> own = cell.connect(bus::Role::daemon);
  NewestStats stats;
};

BOOST_FIXTURE_TEST_CASE(prometheus_reads_cell_bus_actors_and_gpus_there,
                        Served) {
  answer_queries();
  flatbuffers::FlatBufferBuilder builder;
  const auto uuid = builder.CreateString("GPU-a");
  schema::DeviceStatsBuilder device(builder);
  device.add_uuid(uuid);
  device.add_gpu_percent(97);
  const auto done = device.Finish();
  const std::vector<flatbuffers::Offset<schema::DeviceStats>> devices = {done};
  stats.take(
      bus::Message::copy(
          "", "",
          schema::finish(builder, schema::CreateNodeStatsDirect(
                                      builder, "n1", "n1", 1, &devices))),
      std::chrono::steady_clock::now());
  const auto actor = std::make_shared<actors::ActorRecord>();
  actor->name = "busy one";
  actor->handled = 7;
  actors::ActorRegistry::instance().add(actor);
  std::uint16_t port = Port().number;
  const auto server = start(port);
  BOOST_REQUIRE_MESSAGE(server.has_value(), server.error().text);
  const std::string text = get(port);
  for (const char* part :
       {"HTTP/1.1 200", "reeve_up 1\n", "reeve_sessions{state=\"running\"} 3\n",
        "reeve_events_committed_total 12\n", "reeve_manager_up{manager=",
        "reeve_bus_received_total{connection=\"answers\"} ",
        "reeve_actor_handled_total{name=\"busy one\"} 7\n",
        "DCGM_FI_DEV_GPU_UTIL{gpu=\"\",UUID=\"GPU-a\"", "} 97\n"})
    BOOST_TEST(text.find(part) != std::string::npos, part << " is not in\n"
                                                          << text);
}

BOOST_FIXTURE_TEST_CASE(a_manager_that_does_not_answer_is_told_as_down,
                        Served) {
  std::uint16_t port = Port().number;
  const auto server = start(port);
  BOOST_REQUIRE_MESSAGE(server.has_value(), server.error().text);
  const std::string text = get(port);
  BOOST_TEST(text.find("reeve_up 0\n") != std::string::npos, text);
  BOOST_TEST(text.find("reeve_sessions") == std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(what_is_no_question_for_metrics_is_told_so, Served) {
  std::uint16_t port = Port().number;
  const auto server = start(port);
  BOOST_REQUIRE_MESSAGE(server.has_value(), server.error().text);
  BOOST_TEST(get(port, "/").starts_with("HTTP/1.1 404"));
  BOOST_TEST(get(port, "/metrics?x=1").starts_with("HTTP/1.1 200"));
  BOOST_TEST(said(port, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                 .starts_with("HTTP/1.1 405"));
  const std::string long_line(metrics_request_bytes_max, 'x');
  BOOST_TEST(get(port, "/" + long_line).empty());
  BOOST_TEST(get(port).starts_with("HTTP/1.1 200"));
}

BOOST_FIXTURE_TEST_CASE(connections_that_say_nothing_are_bounded, Served) {
  std::uint16_t port = Port().number;
  const auto server = start(port);
  BOOST_REQUIRE_MESSAGE(server.has_value(), server.error().text);
  std::vector<int> silent;
  for (std::size_t i = 0; i < metrics_visits_max; ++i)
    silent.push_back(connected(port));
  BOOST_TEST(get(port).empty());
  for (const int file : silent) ::close(file);
  std::string text;
  for (int i = 0; i < 100 && text.empty(); ++i) text = get(port);
  BOOST_TEST(text.starts_with("HTTP/1.1 200"));
}

BOOST_FIXTURE_TEST_CASE(an_address_that_is_taken_is_refused, Served) {
  const Port taken;
  BOOST_REQUIRE(::listen(taken.file, 1) == 0);
  const auto server = start(taken.number);
  BOOST_REQUIRE(!server.has_value());
  BOOST_TEST((server.error().code == Errc::io));
  BOOST_TEST(server.error().text.find("metrics.listen") != std::string::npos);
}

}  // namespace
}  // namespace reeve::tools::metrics_server_test
