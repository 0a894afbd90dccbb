// What a session asks for, in the form that equal requests share: sessions
// with equal requests are one class and share every answer about room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reeve::schema {
struct SessionSpec;
}

namespace reeve::cluster {

// The group of nodes and sessions that name none.
inline constexpr const char* default_group = "default";

// Normal form: no GPU terms when `gpus` is 0; `gpu_milli` within 1..1000;
// models in lower case, sorted, each once; at least one task; no more nodes
// than tasks; a group that is never empty.
struct Request {
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = 0;
  std::uint64_t gpu_memory_bytes = 0;  // 0 with a share: in proportion
  std::vector<std::string> gpu_models;
  std::uint32_t tasks = 1;
  std::uint32_t nodes = 0;
  std::string group;
  std::string on_node;
  bool simulated = false;
  // Where it may and would rather run; see SessionSpec.
  std::string constraint;
  std::vector<std::string> prefer;
  std::string together;
  std::string apart;
  std::string within;
  std::string reservation;
  // Whose it is, where that makes a difference: with `together`, `apart` or a
  // reservation.
  std::string user;

  bool operator==(const Request&) const = default;
};

// The same request, in normal form.
Request normal_form(Request request);

Request request_of(const schema::SessionSpec& spec);

std::string lower_case(const char* text);

// Whether devices of this model are MIG instances, by the driver's way to name
// them: "NVIDIA H100 80GB HBM3 MIG 1g.10gb". They are given to those who name
// their model, never as "any GPU".
bool is_mig_model(std::string_view lower_case_name);

}  // namespace reeve::cluster

template <>
struct std::hash<reeve::cluster::Request> {
  // Not noexcept: the library then keeps the hash beside the request.
  std::size_t operator()(const reeve::cluster::Request& request) const;
};
