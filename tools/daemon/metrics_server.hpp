// Serves metrics to Prometheus by HTTP at /metrics.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/client.hpp"
#include "cluster/error.hpp"
#include "tools/daemon/metrics.hpp"

namespace reeve::tools {

struct MetricsServerOptions {
  std::string listen;  // "127.0.0.1:9400"
  // To ask the cell for its status; all outlive the server.
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
  // Waits for answers that are being written; the library takes up to 2 s.
  ~MetricsServer();

 private:
  struct Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reeve::tools
