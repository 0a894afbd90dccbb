#include "cluster/scheduling/request.hpp"

#include <algorithm>
#include <functional>
#include <utility>

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

bool is_mig_model(std::string_view lower_case_name) {
  return lower_case_name.find(" mig ") != std::string_view::npos;
}

Request normal_form(Request request) {
  if (request.gpus == 0) {
    request.gpu_milli = 0;
    request.gpu_memory_bytes = 0;
    request.gpu_models.clear();
  } else if (request.gpu_milli == 0 || request.gpu_milli > milli_per_device) {
    request.gpu_milli = milli_per_device;
  }
  auto& models = request.gpu_models;
  for (auto& model : models) model = lower_case(model.c_str());
  std::sort(models.begin(), models.end());
  models.erase(std::unique(models.begin(), models.end()), models.end());
  request.tasks = std::max<std::uint32_t>(request.tasks, 1);
  request.nodes = std::min(request.nodes, request.tasks);
  if (request.group.empty()) request.group = default_group;
  return request;
}

namespace {

void take_wishes(const schema::SessionSpec& spec, Request& request) {
  const auto take = [](const flatbuffers::String* from, std::string& to) {
    if (from) to = from->str();
  };
  take(spec.constraint(), request.constraint);
  take(spec.together(), request.together);
  take(spec.apart(), request.apart);
  take(spec.within(), request.within);
  take(spec.reservation(), request.reservation);
  if (spec.prefer())
    for (const auto* wish : *spec.prefer())
      request.prefer.push_back(wish->str());
  const bool of_user = !request.together.empty() || !request.apart.empty() ||
                       !request.reservation.empty();
  if (of_user) take(spec.user(), request.user);
}

}  // namespace

Request request_of(const schema::SessionSpec& spec) {
  const schema::ResourceRequest& wanted = *spec.request();
  Request request;
  request.cpu_milli = wanted.cpu_milli();
  request.memory_bytes = wanted.memory_bytes();
  request.gpus = wanted.gpus();
  request.gpu_milli = wanted.gpu_milli();
  request.gpu_memory_bytes = wanted.gpu_memory_bytes();
  if (wanted.gpu_models() && request.gpus > 0)
    for (const auto* model : *wanted.gpu_models())
      request.gpu_models.push_back(model->str());
  request.tasks = spec.tasks();
  request.nodes = spec.nodes();
  if (spec.group()) request.group = spec.group()->str();
  if (spec.on_node()) request.on_node = spec.on_node()->str();
  request.simulated = spec.simulated();
  take_wishes(spec, request);
  return normal_form(std::move(request));
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
  for (const auto* wish :
       {&request.constraint, &request.together, &request.apart, &request.within,
        &request.reservation, &request.user})
    if (!wish->empty()) mix(std::hash<std::string>{}(*wish));
  for (const auto& wish : request.prefer) mix(std::hash<std::string>{}(wish));
  return sum;
}
