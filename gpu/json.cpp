#include "gpu/json.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace reeve::gpu {
namespace {

namespace json = boost::json;

void put(json::object& to, const char* key, std::uint32_t number) {
  if (number != 0) to[key] = number;
}

template <class Value>
void put(json::object& to, const char* key, const std::optional<Value>& value) {
  if (value) to[key] = *value;
}

void put(json::object& to, const char* key, Ecc ecc) {
  if (ecc != Ecc::unknown) to[key] = ecc == Ecc::on;
}

json::object part_of(const MigInstance& part) {
  return {{"uuid", part.uuid},
          {"profile", part.profile},
          {"gpu_instance", part.gpu_instance},
          {"compute_instance", part.compute_instance},
          {"multiprocessors", part.multiprocessors},
          {"memory_bytes", part.memory_bytes}};
}

json::object device_of(const Device& device) {
  json::object to = {{"uuid", device.uuid},
                     {"model", device.model},
                     {"memory_bytes", device.memory_bytes},
                     {"minor", device.minor},
                     {"pci_bus", device.pci_bus}};
  if (device.numa_node >= 0) to["numa_node"] = device.numa_node;
  if (device.compute_major != 0)
    to["compute_capability"] =
        fmt::format("{}.{}", device.compute_major, device.compute_minor);
  put(to, "ecc", device.ecc);
  put(to, "ecc_after_reset", device.ecc_after_reset);
  put(to, "power_limit_mw", device.power_limit_mw);
  put(to, "power_limit_default_mw", device.power_limit_default_mw);
  put(to, "power_limit_lowest_mw", device.power_limit_lowest_mw);
  put(to, "power_limit_highest_mw", device.power_limit_highest_mw);
  put(to, "sm_clock_highest_mhz", device.sm_clock_highest_mhz);
  put(to, "memory_clock_highest_mhz", device.memory_clock_highest_mhz);
  put(to, "pcie_generation_highest", device.pcie_generation_highest);
  put(to, "pcie_width_highest", device.pcie_width_highest);
  put(to, "nvlinks", device.nvlinks);
  to["mig_mode"] = device.mig_mode;
  if (device.mig_mode_after_reset != device.mig_mode)
    to["mig_mode_after_reset"] = device.mig_mode_after_reset;
  json::array parts;
  for (const MigInstance& part : device.mig) parts.push_back(part_of(part));
  if (!parts.empty()) to["mig"] = parts;
  return to;
}

json::array devices_of(const std::vector<Device>& devices) {
  json::array to;
  for (const Device& device : devices) to.push_back(device_of(device));
  return to;
}

json::array matrix_of(const Inventory& inventory) {
  json::array to;
  for (const auto& row : inventory.connections) {
    json::array names;
    for (const Connection& connection : row)
      names.push_back(json::string(short_name(connection)));
    to.push_back(names);
  }
  return to;
}

void put_load(json::object& to, const Sample& sample) {
  put(to, "gpu_percent", sample.gpu_percent);
  put(to, "memory_percent", sample.memory_percent);
  put(to, "memory_used_bytes", sample.memory_used_bytes);
  put(to, "memory_total_bytes", sample.memory_total_bytes);
  put(to, "power_mw", sample.power_mw);
  put(to, "energy_mj", sample.energy_mj);
  put(to, "temperature_c", sample.temperature_c);
  put(to, "memory_temperature_c", sample.memory_temperature_c);
  put(to, "sm_clock_mhz", sample.sm_clock_mhz);
  put(to, "memory_clock_mhz", sample.memory_clock_mhz);
  put(to, "pcie_generation", sample.pcie_generation);
  put(to, "pcie_width", sample.pcie_width);
  put(to, "pcie_sent_bytes_per_s", sample.pcie_sent_bytes_per_s);
  put(to, "pcie_received_bytes_per_s", sample.pcie_received_bytes_per_s);
  put(to, "nvlink_sent_bytes", sample.nvlink_sent_bytes);
  put(to, "nvlink_received_bytes", sample.nvlink_received_bytes);
}

void put_health(json::object& to, const Sample& sample) {
  put(to, "ecc_corrected", sample.ecc_corrected);
  put(to, "ecc_uncorrected", sample.ecc_uncorrected);
  put(to, "ecc_corrected_ever", sample.ecc_corrected_ever);
  put(to, "ecc_uncorrected_ever", sample.ecc_uncorrected_ever);
  put(to, "rows_remapped_corrected", sample.rows_remapped_corrected);
  put(to, "rows_remapped_uncorrected", sample.rows_remapped_uncorrected);
  put(to, "row_remap_pending", sample.row_remap_pending);
  put(to, "row_remap_failed", sample.row_remap_failed);
}

}  // namespace

json::value to_json(const Inventory& inventory) {
  json::object to = {{"driver_version", inventory.driver_version},
                     {"cuda_version", inventory.cuda_version},
                     {"devices", devices_of(inventory.devices)},
                     {"connections", matrix_of(inventory)},
                     {"cut", devices_of(inventory.cut)}};
  if (!inventory.why_none.empty()) to["why_none"] = inventory.why_none;
  json::array problems;
  for (const auto& problem : inventory.problems)
    problems.push_back(json::string(problem));
  to["problems"] = problems;
  return to;
}

json::value to_json(const Sample& sample) {
  json::object to = {{"uuid", sample.uuid}};
  if (!sample.lost.empty()) {
    to["lost"] = sample.lost;
    return to;
  }
  put_load(to, sample);
  put_health(to, sample);
  json::array throttles;
  for (const Throttle reason : sample.throttles)
    throttles.push_back(json::string(name(reason)));
  to["throttles"] = throttles;
  json::array processes;
  for (const ProcessUse& process : sample.processes) {
    json::object use = {{"pid", process.pid}};
    put(use, "memory_bytes", process.memory_bytes);
    processes.push_back(use);
  }
  to["processes"] = processes;
  json::array xids;
  for (const auto xid : sample.xids) xids.push_back(xid);
  to["xids"] = xids;
  return to;
}

}  // namespace reeve::gpu
