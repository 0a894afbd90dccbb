#include "tools/daemon/metrics_server.hpp"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <iterator>
#include <optional>
#include <string_view>
#include <thread>

#include "tools/program.hpp"

namespace reeve::tools {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

// Managers that stand by are not asked: what is told is what the leader tells.
constexpr std::chrono::milliseconds status_timeout{2'000};
static_assert(status_timeout < bus::leader_wait);
constexpr std::chrono::seconds visit_timeout{5};
constexpr std::chrono::milliseconds accept_pause{100};

void append(MetricFamilies& to, MetricFamilies from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()),
            std::make_move_iterator(from.end()));
}

// What is told now.
class Source {
 public:
  explicit Source(MetricsServerOptions options) : options_(std::move(options)) {
    if (options_.connection != nullptr)
      client_.emplace(*options_.connection, options_.subjects,
                      options_.principal);
  }

  MetricFamilies collect() {
    MetricFamilies out;
    if (client_) out = cell();
    std::vector<std::pair<std::string, bus::Stats>> connections;
    for (const auto& [name, connection] : options_.connections)
      connections.emplace_back(name, connection->stats());
    append(out, bus_metrics(connections));
    append(out, actor_metrics(actors::ActorRegistry::instance().figures()));
    const auto messages =
        options_.stats->fresh(std::chrono::steady_clock::now());
    std::vector<const schema::NodeStats*> nodes;
    for (const bus::Message& message : messages)
      nodes.push_back(schema::verified<schema::NodeStats>(message.data));
    append(out, gpu_metrics(nodes));
    return out;
  }

 private:
  // A manager that does not answer in time is told as down.
  MetricFamilies cell() {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto body = schema::CreateStatusQuery(builder);
    const auto answer = client_->query(
        schema::finish(builder, schema::CreateQuery(
                                    builder, schema::QueryBody::StatusQuery,
                                    body.Union(), &this_program().protocol)),
        status_timeout);
    const schema::StatusAnswer* status = nullptr;
    std::uint64_t seq = 0;
    if (answer) {
      const auto* table = schema::verified<schema::Answer>(*answer);
      status = table->body_as_StatusAnswer();
      seq = table->seq();
    }
    MetricFamilies out;
    prometheus::MetricFamily up{"reeve_up",
                                "Whether the manager that leads answers.",
                                prometheus::MetricType::Gauge,
                                {}};
    up.metric.emplace_back().gauge.value = status != nullptr ? 1 : 0;
    out.push_back(std::move(up));
    if (status == nullptr) return out;
    append(out, cell_metrics(*status, seq));
    append(out, manager_metrics(*status));
    return out;
  }

  const MetricsServerOptions options_;
  std::optional<bus::Client> client_;
};

// One connection: a request, its answer, and the end.
class Visit : public std::enable_shared_from_this<Visit> {
 public:
  Visit(tcp::socket socket, Source& source, std::size_t& visits)
      : stream_(std::move(socket)), source_(source), visits_(visits) {
    ++visits_;
    parser_.header_limit(metrics_request_bytes_max);
  }
  ~Visit() { --visits_; }
  Visit(const Visit&) = delete;

  void begin() {
    stream_.expires_after(visit_timeout);
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](auto error, std::size_t) {
                       if (!error) self->answer();
                     });
  }

 private:
  void answer() {
    const auto& asked = parser_.get();
    const std::string_view target(asked.target().data(), asked.target().size());
    if (asked.method() != http::verb::get)
      say(http::status::method_not_allowed, "metrics are read by GET\n");
    else if (target.substr(0, target.find('?')) != "/metrics")
      say(http::status::not_found, "metrics are at /metrics\n");
    else
      say(http::status::ok,
          prometheus::TextSerializer().Serialize(source_.collect()));
  }

  void say(http::status status, std::string text) {
    answer_.result(status);
    answer_.keep_alive(false);
    answer_.set(http::field::content_type, "text/plain; version=0.0.4");
    answer_.body() = std::move(text);
    answer_.prepare_payload();
    stream_.expires_after(visit_timeout);
    http::async_write(
        stream_, answer_, [self = shared_from_this()](auto, std::size_t) {
          beast::error_code ignored;
          self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        });
  }

  beast::tcp_stream stream_;
  Source& source_;
  std::size_t& visits_;
  beast::flat_buffer buffer_;
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> answer_;
};

// "127.0.0.1:9400" or "[::1]:9400"; the settings have checked it.
Expected<tcp::endpoint> endpoint_of(const std::string& listen) {
  const auto colon = listen.rfind(':');
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[')
    host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const char* const end = listen.data() + listen.size();
  beast::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error || colon == listen.npos ||
      std::from_chars(listen.data() + colon + 1, end, port).ptr != end)
    return fail(Errc::usage,
                fmt::format("metrics.listen: '{}' is no address", listen));
  return tcp::endpoint(address, port);
}

}  // namespace

struct MetricsServer::Impl {
  explicit Impl(MetricsServerOptions options) : source(std::move(options)) {}
  ~Impl() {
    context.stop();
    if (thread.joinable()) thread.join();
  }

  Status listen(const tcp::endpoint& at) {
    beast::error_code error;
    acceptor.open(at.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(at, error);
    if (!error)
      acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return fail(
          Errc::io,
          fmt::format("metrics.listen: nothing can listen at {}: {}",
                      fmt::format("{}:{}", at.address().to_string(), at.port()),
                      error.message()));
    return {};
  }

  void accept() {
    acceptor.async_accept([this](auto error, tcp::socket socket) {
      // One over the bound is closed unheard, and Prometheus comes again.
      if (!error && visits < metrics_visits_max)
        std::make_shared<Visit>(std::move(socket), source, visits)->begin();
      if (!error) return accept();
      pause.expires_after(accept_pause);
      pause.async_wait([this](auto) { accept(); });
    });
  }

  Source source;
  std::size_t visits = 0;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer pause{context};
  std::thread thread;
};

Expected<std::unique_ptr<MetricsServer>> MetricsServer::start(
    MetricsServerOptions options) {
  const auto at = endpoint_of(options.listen);
  if (!at) return tl::unexpected(at.error());
  auto impl = std::make_unique<Impl>(std::move(options));
  if (auto good = impl->listen(*at); !good) return tl::unexpected(good.error());
  impl->accept();
  impl->thread = std::thread([&context = impl->context] { context.run(); });
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(impl)));
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
MetricsServer::~MetricsServer() = default;

}  // namespace reeve::tools
