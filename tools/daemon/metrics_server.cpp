#include "tools/daemon/metrics_server.hpp"

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <chrono>
#include <exception>
#include <iterator>

namespace reeve::tools {
namespace {

constexpr std::chrono::milliseconds status_timeout{2'000};

void append(MetricFamilies& to, MetricFamilies from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()),
            std::make_move_iterator(from.end()));
}

// Called on a thread of the HTTP server.
class Source : public prometheus::Collectable {
 public:
  explicit Source(MetricsServerOptions options)
      : options_(std::move(options)),
        client_(*options_.connection, options_.subjects, options_.principal) {}

  MetricFamilies Collect() const override {
    MetricFamilies out = cell();
    std::vector<std::pair<std::string, bus::Stats>> connections;
    for (const auto& [name, connection] : options_.connections)
      connections.emplace_back(name, connection->stats());
    append(out, bus_metrics(connections));
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
  MetricFamilies cell() const {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto body = schema::CreateStatusQuery(builder);
    const auto answer = client_.query(
        schema::finish(builder, schema::CreateQuery(
                                    builder, schema::QueryBody::StatusQuery,
                                    body.Union())),
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
                                "Whether the manager answers.",
                                prometheus::MetricType::Gauge,
                                {}};
    up.metric.emplace_back().gauge.value = status != nullptr ? 1 : 0;
    out.push_back(std::move(up));
    if (status != nullptr) append(out, cell_metrics(*status, seq));
    return out;
  }

  const MetricsServerOptions options_;
  mutable bus::Client client_;
};

}  // namespace

struct MetricsServer::Impl {
  std::shared_ptr<Source> source;
  std::unique_ptr<prometheus::Exposer> exposer;
};

// The library tells by exceptions what is wrong.
Expected<std::unique_ptr<MetricsServer>> MetricsServer::start(
    MetricsServerOptions options) {
  const std::string listen = options.listen;
  auto impl = std::make_unique<Impl>();
  impl->source = std::make_shared<Source>(std::move(options));
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(listen);
    impl->exposer->RegisterCollectable(impl->source);
  } catch (const std::exception& error) {
    return fail(Errc::io,
                fmt::format("metrics.listen: nothing can listen at {}: {}",
                            listen, error.what()));
  }
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(impl)));
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
MetricsServer::~MetricsServer() = default;

}  // namespace reeve::tools
