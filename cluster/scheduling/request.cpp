#include "cluster/scheduling/request.hpp"

#include <algorithm>
#include <functional>

#include "cluster/types.hpp"
#include "schema/types_generated.h"

namespace reeve::cluster {

std::string lower_case(const char* text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

namespace {

void take_gpus(const schema::ResourceRequest& wanted, Request& request) {
  request.gpus = wanted.gpus();
  if (request.gpus == 0) return;
  request.gpu_milli = wanted.gpu_milli();
  if (request.gpu_milli == 0 || request.gpu_milli > milli_per_device) {
    request.gpu_milli = milli_per_device;
  }
  request.gpu_memory_bytes = wanted.gpu_memory_bytes();
  if (!wanted.gpu_models()) return;
  auto& models = request.gpu_models;
  for (const auto* model : *wanted.gpu_models()) {
    models.push_back(lower_case(model->c_str()));
  }
  std::sort(models.begin(), models.end());
  models.erase(std::unique(models.begin(), models.end()), models.end());
}

}  // namespace

Request request_of(const schema::SessionSpec& spec) {
  Request request;
  request.cpu_milli = spec.request()->cpu_milli();
  request.memory_bytes = spec.request()->memory_bytes();
  take_gpus(*spec.request(), request);
  request.tasks = std::max<std::uint32_t>(spec.tasks(), 1);
  request.nodes = std::min(spec.nodes(), request.tasks);
  if (spec.group()) request.group = spec.group()->str();
  if (request.group.empty()) request.group = default_group;
  if (spec.on_node()) request.on_node = spec.on_node()->str();
  request.simulated = spec.simulated();
  return request;
}

}  // namespace reeve::cluster

std::size_t std::hash<reeve::cluster::Request>::operator()(
    const reeve::cluster::Request& request) const {
  std::size_t sum = 14695981039346656037ULL;
  const auto mix = [&sum](std::size_t value) {
    sum = (sum ^ value) * 0x9E3779B97F4A7C15ULL;
    sum ^= sum >> 29;
  };
  mix(request.cpu_milli);
  mix(request.memory_bytes);
  mix(request.gpus);
  mix(request.gpu_milli);
  mix(request.gpu_memory_bytes);
  for (const auto& model : request.gpu_models) {
    mix(std::hash<std::string>{}(model));
  }
  mix(request.tasks);
  mix(request.nodes);
  mix(std::hash<std::string>{}(request.group));
  mix(std::hash<std::string>{}(request.on_node));
  mix(request.simulated ? 1 : 0);
  return sum;
}
