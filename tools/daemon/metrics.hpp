// What the daemon knows, as metrics for Prometheus. Of GPUs under the names
// that NVIDIA's DCGM exporter gives them, with its labels and units.
#pragma once

#include <prometheus/metric_family.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "actors/system/traced.hpp"
#include "bus/buffer.hpp"
#include "bus/connection.hpp"
#include "schema/wire.hpp"

namespace reeve::tools {

using MetricFamilies = std::vector<prometheus::MetricFamily>;

// What the driver of a device does not tell is left out.
MetricFamilies gpu_metrics(const std::vector<const schema::NodeStats*>& nodes);
// `head_seq`: the sequence of the newest event.
MetricFamilies cell_metrics(const schema::StatusAnswer& status,
                            std::uint64_t head_seq);
// Of each manager of the cell, as the one that answers has heard of it: whether
// it lives, whether it leads, and how far its log is behind the leader's. The
// last is left out of one that was never heard, and of all while none leads.
MetricFamilies manager_metrics(const schema::StatusAnswer& status);
// Of each connection by its name.
MetricFamilies bus_metrics(
    const std::vector<std::pair<std::string, bus::Stats>>& connections);
// Of the actors of this process by their name.
MetricFamilies actor_metrics(
    const std::map<std::string, actors::ActorFigures>& actors);

// Of an agent that is silent for longer nothing is shown.
inline constexpr std::chrono::seconds stats_age_max{30};
// Agents whose figures are kept; those of more are not.
inline constexpr std::size_t stats_agents_max = 4'096;

// The newest figures of each agent. Any thread.
class NewestStats {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  // `message` is a verified schema::NodeStats.
  void take(const bus::Message& message, Moment now);
  std::vector<bus::Message> fresh(Moment now);

 private:
  struct Entry {
    bus::Message message;
    Moment heard;
  };
  void forget_old(Moment now);

  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> by_agent_;
};

}  // namespace reeve::tools
