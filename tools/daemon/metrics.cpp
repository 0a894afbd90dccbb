#include "tools/daemon/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "actors/manager/core.hpp"

namespace reeve::tools {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using schema::DeviceStats;
using Labels = std::vector<ClientMetric::Label>;
using Value = std::optional<double>;

constexpr double per_mib = 1.0 / (1 << 20);
constexpr double per_kib = 1.0 / (1 << 10);

template <class Number>
Value scaled(const std::optional<Number>& number, double by = 1) {
  if (!number) return std::nullopt;
  return static_cast<double>(*number) * by;
}

Value free_mib(const DeviceStats& of) {
  const auto used = of.memory_used_bytes();
  const auto total = of.memory_total_bytes();
  if (!used || !total || *used > *total) return std::nullopt;
  return static_cast<double>(*total - *used) * per_mib;
}

struct GpuFigure {
  const char* name;
  const char* help;
  MetricType type;
  Value (*value)(const DeviceStats&);
};

constexpr auto gauge = MetricType::Gauge;
constexpr auto counter = MetricType::Counter;

#define FIGURE(name, type, help, value)                                    \
  {                                                                        \
    name, help, type, [](const DeviceStats& of) -> Value { return value; } \
  }

const GpuFigure figures[] = {
    FIGURE("DCGM_FI_DEV_GPU_UTIL", gauge, "GPU utilization (in %).",
           scaled(of.gpu_percent())),
    FIGURE("DCGM_FI_DEV_MEM_COPY_UTIL", gauge, "Memory utilization (in %).",
           scaled(of.memory_percent())),
    FIGURE("DCGM_FI_DEV_FB_USED", gauge, "Memory in use (in MiB).",
           scaled(of.memory_used_bytes(), per_mib)),
    FIGURE("DCGM_FI_DEV_FB_FREE", gauge, "Memory that is free (in MiB).",
           free_mib(of)),
    FIGURE("DCGM_FI_DEV_POWER_USAGE", gauge, "Power draw (in W).",
           scaled(of.power_mw(), 1e-3)),
    FIGURE("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", counter,
           "Energy since the driver's start (in mJ).", scaled(of.energy_mj())),
    FIGURE("DCGM_FI_DEV_GPU_TEMP", gauge, "GPU temperature (in C).",
           scaled(of.temperature_c())),
    FIGURE("DCGM_FI_DEV_MEMORY_TEMP", gauge, "Memory temperature (in C).",
           scaled(of.memory_temperature_c())),
    FIGURE("DCGM_FI_DEV_SM_CLOCK", gauge, "SM clock frequency (in MHz).",
           scaled(of.sm_clock_mhz())),
    FIGURE("DCGM_FI_DEV_MEM_CLOCK", gauge, "Memory clock frequency (in MHz).",
           scaled(of.memory_clock_mhz())),
    FIGURE("DCGM_FI_DEV_XID_ERRORS", gauge,
           "The last Xid error since the agent's start; 0: none.",
           scaled(of.xid_last()).value_or(0)),
    FIGURE("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", counter,
           "Corrected ECC errors since the driver's start.",
           scaled(of.ecc_corrected())),
    FIGURE("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", counter,
           "Uncorrected ECC errors since the driver's start.",
           scaled(of.ecc_uncorrected())),
    FIGURE("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", counter,
           "Corrected ECC errors ever.", scaled(of.ecc_corrected_ever())),
    FIGURE("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", counter,
           "Uncorrected ECC errors ever.", scaled(of.ecc_uncorrected_ever())),
    FIGURE("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", counter,
           "Rows remapped for corrected errors.",
           scaled(of.rows_remapped_corrected())),
    FIGURE("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", counter,
           "Rows remapped for uncorrected errors.",
           scaled(of.rows_remapped_uncorrected())),
    FIGURE("DCGM_FI_DEV_ROW_REMAP_PENDING", gauge,
           "Whether rows are remapped at the next reset.",
           scaled(of.row_remap_pending())),
    FIGURE("DCGM_FI_DEV_ROW_REMAP_FAILURE", gauge,
           "Whether remapping of rows has failed.",
           scaled(of.row_remap_failed())),
    FIGURE("DCGM_FI_DEV_PCIE_LINK_GEN", gauge, "PCIe generation of the link.",
           scaled(of.pcie_generation())),
    FIGURE("DCGM_FI_DEV_PCIE_LINK_WIDTH", gauge, "PCIe lanes of the link.",
           scaled(of.pcie_width())),
    FIGURE("DCGM_FI_DEV_PCIE_TX_THROUGHPUT", gauge,
           "Sent over PCIe in a moment of each minute (in KiB/s).",
           scaled(of.pcie_sent_bytes_per_s(), per_kib)),
    FIGURE("DCGM_FI_DEV_PCIE_RX_THROUGHPUT", gauge,
           "Received over PCIe in a moment of each minute (in KiB/s).",
           scaled(of.pcie_received_bytes_per_s(), per_kib)),
    FIGURE("reeve_gpu_nvlink_sent_bytes_total", counter,
           "Sent over NVLink since the driver's start.",
           scaled(of.nvlink_sent_bytes())),
    FIGURE("reeve_gpu_nvlink_received_bytes_total", counter,
           "Received over NVLink since the driver's start.",
           scaled(of.nvlink_received_bytes())),
    FIGURE("reeve_gpu_xids_total", counter,
           "Xid errors since the agent's start.", scaled(of.xids())),
    FIGURE("reeve_gpu_processes", gauge, "Processes that compute on it.",
           scaled(of.processes())),
    FIGURE("reeve_gpu_lost", gauge, "Whether it does not answer any more.",
           of.lost() != nullptr ? 1.0 : 0.0),
};
#undef FIGURE

void add(MetricFamily& family, Labels labels, double value) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

Labels labels_of(const schema::NodeStats& node, const DeviceStats& device) {
  const auto index = device.index();
  const auto minor = device.minor();
  return {{"gpu", index ? fmt::format("{}", *index) : std::string()},
          {"UUID", device.uuid()->str()},
          {"device", minor ? fmt::format("nvidia{}", *minor) : std::string()},
          {"modelName", std::string(schema::text(device.model()))},
          {"Hostname", node.node()->str()}};
}

template <class Visit>
void each_device(const std::vector<const schema::NodeStats*>& nodes,
                 Visit visit) {
  for (const schema::NodeStats* node : nodes)
    for (const DeviceStats* device : *node->devices()) visit(*node, *device);
}

MetricFamily one(const char* name, const char* help, double value) {
  MetricFamily family{name, help, gauge, {}};
  add(family, {}, value);
  return family;
}

bool lives(const schema::ManagerView& one) {
  return one.heard() && one.silent_ns() <= manager::manager_silent_ns_max;
}

// Of two that say so, the one of the later epoch; null: none leads.
const schema::ManagerView* leader_of(const schema::StatusAnswer& status) {
  const schema::ManagerView* found = nullptr;
  for (const auto* one : *status.managers())
    if (lives(*one) && one->role() == schema::ManagerRole::leading &&
        (found == nullptr || one->epoch() > found->epoch()))
      found = one;
  return found;
}

}  // namespace

MetricFamilies gpu_metrics(const std::vector<const schema::NodeStats*>& nodes) {
  MetricFamilies out;
  const auto put = [&](MetricFamily family) {
    if (!family.metric.empty()) out.push_back(std::move(family));
  };
  for (const GpuFigure& figure : figures) {
    MetricFamily family{figure.name, figure.help, figure.type, {}};
    each_device(nodes, [&](const auto& node, const DeviceStats& device) {
      if (const Value value = figure.value(device))
        add(family, labels_of(node, device), *value);
    });
    put(std::move(family));
  }
  MetricFamily throttled{
      "reeve_gpu_throttled", "Why clocks are held down.", gauge, {}};
  each_device(nodes, [&](const auto& node, const DeviceStats& device) {
    if (device.throttles() == nullptr) return;
    for (const auto* reason : *device.throttles()) {
      Labels labels = labels_of(node, device);
      labels.push_back({"reason", reason->str()});
      add(throttled, std::move(labels), 1);
    }
  });
  put(std::move(throttled));
  return out;
}

MetricFamilies cell_metrics(const schema::StatusAnswer& status,
                            std::uint64_t head_seq) {
  MetricFamilies out;
  MetricFamily sessions{"reeve_sessions",
                        "Sessions by their state; pending "
                        "ones wait.",
                        gauge,
                        {}};
  if (status.sessions() != nullptr)
    for (const auto* count : *status.sessions())
      add(sessions, {{"state", EnumNameSessionState(count->state())}},
          static_cast<double>(count->count()));
  out.push_back(std::move(sessions));
  MetricFamily events{
      "reeve_events_committed_total", "Events of the log.", counter, {}};
  add(events, {}, static_cast<double>(head_seq));
  out.push_back(std::move(events));
  out.push_back(one("reeve_epoch", "How often the cell was started.",
                    static_cast<double>(status.epoch())));
  out.push_back(one("reeve_nodes", "Nodes of the cell.", status.nodes()));
  out.push_back(one("reeve_nodes_up", "Nodes that answer.", status.nodes_up()));
  out.push_back(one("reeve_admission_open", "Whether new sessions are let in.",
                    status.admission_open() ? 1 : 0));
  if (status.counters() == nullptr) return out;
  for (const auto* one : *status.counters()) {
    const std::string name = one->name()->str();
    if (name.ends_with("_pid")) continue;  // not a figure
    MetricFamily family{"reeve_" + name + "_total",
                        "As counted by reeve status --json.",
                        counter,
                        {}};
    add(family, {}, static_cast<double>(one->value()));
    out.push_back(std::move(family));
  }
  return out;
}

MetricFamilies manager_metrics(const schema::StatusAnswer& status) {
  MetricFamily up{"reeve_manager_up",
                  "Whether it was heard in the last seconds.",
                  gauge,
                  {}};
  MetricFamily leads{"reeve_manager_leads", "Whether it leads.", gauge, {}};
  MetricFamily behind{"reeve_manager_behind_events",
                      "Events of the leader's log that its own lacks.",
                      gauge,
                      {}};
  const auto put = [](MetricFamily& family, std::string_view of, double value) {
    add(family, {{"manager", std::string(of)}}, value);
  };
  if (status.managers() == nullptr || status.managers()->size() == 0) {
    // Alone.
    const auto name = schema::text(status.leader());
    put(up, name, 1);
    put(leads, name, 1);
    put(behind, name, 0);
    return {std::move(up), std::move(leads), std::move(behind)};
  }
  const auto* leader = leader_of(status);
  for (const auto* one : *status.managers()) {
    const auto name = schema::text(one->name());
    put(up, name, lives(*one) ? 1 : 0);
    put(leads, name, one == leader ? 1 : 0);
    if (leader == nullptr || !one->heard()) continue;
    const std::uint64_t head = std::max(leader->sequence(), one->sequence());
    put(behind, name, static_cast<double>(head - one->sequence()));
  }
  return {std::move(up), std::move(leads), std::move(behind)};
}

MetricFamilies bus_metrics(
    const std::vector<std::pair<std::string, bus::Stats>>& connections) {
  struct Figure {
    const char* name;
    const char* help;
    std::uint64_t bus::Stats::*value;
  };
  static constexpr Figure all[] = {
      {"published", "Messages published.", &bus::Stats::published},
      {"published_bytes", "Bytes published.", &bus::Stats::published_bytes},
      {"publish_failures", "Messages that were not published.",
       &bus::Stats::publish_failures},
      {"received", "Messages received.", &bus::Stats::received},
      {"received_bytes", "Bytes received.", &bus::Stats::received_bytes},
      {"dropped", "Messages over a bound.", &bus::Stats::dropped},
      {"reconnects", "Times it was connected again.", &bus::Stats::reconnects},
      {"slow_consumers", "Times a subscription began to drop.",
       &bus::Stats::slow_consumers},
  };
  MetricFamilies out;
  for (const Figure& figure : all) {
    MetricFamily family{fmt::format("reeve_bus_{}_total", figure.name),
                        figure.help,
                        counter,
                        {}};
    for (const auto& [name, stats] : connections)
      add(family, {{"connection", name}},
          static_cast<double>(stats.*figure.value));
    out.push_back(std::move(family));
  }
  return out;
}

MetricFamilies actor_metrics(
    const std::map<std::string, actors::ActorFigures>& actors) {
  MetricFamily mailbox{"reeve_actor_mailbox",
                       "Messages that wait, and the one at hand.",
                       gauge,
                       {}};
  MetricFamily handled{
      "reeve_actor_handled_total", "Messages handled.", counter, {}};
  MetricFamily busy{
      "reeve_actor_busy_seconds_total", "Time spent on messages.", counter, {}};
  for (const auto& [name, figures] : actors) {
    const Labels labels = {{"name", name}};
    add(mailbox, labels, static_cast<double>(figures.waiting));
    add(handled, labels, static_cast<double>(figures.handled));
    add(busy, labels, static_cast<double>(figures.busy_ns) * 1e-9);
  }
  return {std::move(mailbox), std::move(handled), std::move(busy)};
}

void NewestStats::take(const bus::Message& message, Moment now) {
  const auto* stats = schema::verified<schema::NodeStats>(message.data);
  const std::lock_guard lock(mutex_);
  forget_old(now);
  const auto agent = stats->agent()->string_view();
  auto at = by_agent_.find(agent);
  if (at == by_agent_.end()) {
    if (by_agent_.size() >= stats_agents_max) return;
    at = by_agent_.emplace(agent, Entry{}).first;
  }
  at->second = {message.hold(), now};
}

std::vector<bus::Message> NewestStats::fresh(Moment now) {
  const std::lock_guard lock(mutex_);
  forget_old(now);
  std::vector<bus::Message> out;
  for (const auto& [agent, entry] : by_agent_) out.push_back(entry.message);
  return out;
}

void NewestStats::forget_old(Moment now) {
  std::erase_if(by_agent_, [&](const auto& each) {
    return now > each.second.heard + stats_age_max;
  });
}

}  // namespace reeve::tools
