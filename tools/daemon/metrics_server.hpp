// Serves metrics to Prometheus by HTTP at /metrics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/client.hpp"
#include "cluster/error.hpp"
#include "tools/daemon/metrics.hpp"

namespace reeve::tools {

// Of a request, its headers included; more is not answered.
inline constexpr std::uint32_t metrics_request_bytes_max = 8 << 10;
// Connections at a time; more are closed unheard.
inline constexpr std::size_t metrics_visits_max = 16;

struct MetricsServerOptions {
  std::string listen;  // "127.0.0.1:9400"
  // To ask the cell for its status, as `principal`; none: it is not asked and
  // no figures of the cell are shown. All outlive the server.
  bus::Connection* connection = nullptr;
  bus::Subjects subjects{""};
  std::string principal;
  // Whose figures are shown, by name.
  std::vector<std::pair<std::string, bus::Connection*>> connections;
  NewestStats* stats = nullptr;
};

class MetricsServer {
 public:
  // Errc::io when nothing can listen there.
  static Expected<std::unique_ptr<MetricsServer>> start(
      MetricsServerOptions options);
  // Waits for a look at the cell that is under way, up to 2 s.
  ~MetricsServer();

 private:
  struct Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reeve::tools
