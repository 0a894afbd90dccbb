#include "cluster/scheduling/capacity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "cluster/types.hpp"
#include "cluster/units.hpp"
#include "schema/types_generated.h"

namespace reeve::cluster {

namespace {

constexpr std::size_t models_told_max = 8;

bool allows(const Request& request, const std::string& model) {
  const auto& models = request.gpu_models;
  const std::string name = lower_case(model.c_str());
  if (models.empty()) return !is_mig_model(name);
  return std::find(models.begin(), models.end(), name) != models.end();
}

// How many tasks one free device of this sort takes part in.
std::uint64_t shares_of(const Shape::Gpus& gpus, const Request& request) {
  if (!allows(request, gpus.model)) return 0;
  if (request.gpu_memory_bytes > gpus.memory_bytes) return 0;
  if (request.gpu_milli == milli_per_device) return 1;
  const std::uint64_t shares = milli_per_device / request.gpu_milli;
  if (request.gpu_memory_bytes == 0) return shares;
  return std::min(shares, gpus.memory_bytes / request.gpu_memory_bytes);
}

bool gpus_suffice(const Shape& shape, const Request& request,
                  std::uint64_t tasks) {
  std::uint64_t found = 0;
  for (const auto& gpus : shape.gpus) {
    found += gpus.count * std::min(shares_of(gpus, request), tasks);
  }
  return found >= request.gpus * tasks;
}

bool same_queue(const Shape& shape, const Request& request) {
  const bool group_is_default =
      shape.group.empty() && request.group == default_group;
  return (shape.group == request.group || group_is_default) &&
         shape.simulated == request.simulated;
}

std::string gib(std::uint64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1ULL << 30));
}

std::string cpus(std::uint32_t milli) {
  return counted_milli(milli, "CPU");
}

std::string listed(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, " or "));
}

std::string queue_name(const Request& request) {
  return fmt::format("{}group {}",
                     request.simulated ? "simulated nodes of " : "",
                     request.group);
}

std::string where(const Request& request) {
  if (!request.on_node.empty()) return "node " + request.on_node;
  return "the largest node of " + queue_name(request);
}

using Shapes = std::vector<const Shape*>;

// The models there are, in order; of many the first ones.
std::string models_of(const Shapes& shapes) {
  std::set<std::string> models;
  for (const auto* shape : shapes)
    for (const auto& gpus : shape->gpus) models.insert(gpus.model);
  const std::size_t told = std::min(models.size(), models_told_max);
  const auto end = std::next(models.begin(), static_cast<long>(told));
  std::string out = fmt::format("{}", fmt::join(models.begin(), end, ", "));
  if (told < models.size())
    out += fmt::format(" and {} more", models.size() - told);
  return out;
}

// The largest number of devices that serve the request on one node.
std::optional<std::string> gpus_lacking(const Shapes& shapes,
                                        const Request& request) {
  std::uint64_t most = 0;
  std::uint64_t most_any = 0;
  std::uint64_t memory_max = 0;
  std::string model;
  std::string other;
  for (const auto* shape : shapes) {
    std::uint64_t serving = 0;
    for (const auto& gpus : shape->gpus) {
      most_any = std::max<std::uint64_t>(most_any, gpus.count);
      if (!allows(request, gpus.model)) {
        other = gpus.model;
        continue;
      }
      memory_max = std::max(memory_max, gpus.memory_bytes);
      if (shares_of(gpus, request) == 0) continue;
      serving += gpus.count;
      if (serving > most) model = gpus.model;
    }
    most = std::max(most, serving);
  }
  if (most >= request.gpus) return std::nullopt;
  if (most_any == 0) {
    return fmt::format("needs {} in a task; {} has none",
                       counted(request.gpus, "GPU"), queue_name(request));
  }
  if (memory_max == 0 && request.gpu_models.empty()) {
    return fmt::format(
        "needs {} in a task; {} has MIG instances only, which are given to "
        "those who name their model, as in --gpus '{}:1'",
        counted(request.gpus, "GPU"), queue_name(request), other);
  }
  if (memory_max == 0) {
    return fmt::format("needs GPUs of model {}; {} has none, it has {}",
                       listed(request.gpu_models), queue_name(request),
                       models_of(shapes));
  }
  if (request.gpu_memory_bytes > memory_max) {
    return fmt::format("needs {} of memory on a GPU; the largest GPU {}has {}",
                       gib(request.gpu_memory_bytes),
                       request.gpu_models.empty() ? "" : "of that model ",
                       gib(memory_max));
  }
  return fmt::format("needs {} in a task; {} has {} ({})",
                     counted(request.gpus, "GPU"), where(request), most, model);
}

std::optional<std::string> one_task_lacks(const Shapes& shapes,
                                          const Request& request) {
  std::uint32_t cpu_max = 0;
  std::uint64_t memory_max = 0;
  for (const auto* shape : shapes) {
    if (tasks_on_empty(*shape, request, 1) > 0) return std::nullopt;
    cpu_max = std::max(cpu_max, shape->cpu_milli);
    memory_max = std::max(memory_max, shape->memory_bytes);
  }
  if (request.cpu_milli > cpu_max) {
    return fmt::format("needs {} in a task; {} has {}", cpus(request.cpu_milli),
                       where(request), cpus(cpu_max));
  }
  if (request.memory_bytes > memory_max) {
    return fmt::format("needs {} of memory in a task; {} has {}",
                       gib(request.memory_bytes), where(request),
                       gib(memory_max));
  }
  if (auto text = gpus_lacking(shapes, request)) return text;
  return fmt::format(
      "needs {}, {} of memory and {} in one task; {} has each of them, but no "
      "node all together",
      cpus(request.cpu_milli), gib(request.memory_bytes),
      counted(request.gpus, "GPU"), queue_name(request));
}

std::optional<std::string> gang_lacks(const Shapes& shapes,
                                      const Request& request) {
  const std::uint64_t tasks = request.tasks;
  const std::uint64_t over = std::max(request.nodes, 1U);
  const auto each = tasks / over;
  std::uint64_t room = 0;
  std::uint64_t nodes_of_each = 0;
  std::uint64_t nodes_of_more = 0;
  for (const auto* shape : shapes) {
    const auto on_one = tasks_on_empty(*shape, request, tasks);
    room += std::min(shape->count, tasks) * on_one;
    if (on_one >= each) nodes_of_each += shape->count;
    if (on_one > each) nodes_of_more += shape->count;
  }
  if (request.nodes == 0) {
    if (room >= tasks) return std::nullopt;
    return fmt::format("needs room for {} at once; {} takes {}, empty",
                       counted(tasks, "task"), queue_name(request), room);
  }
  if (nodes_of_each < over) {
    return fmt::format("needs {} with room for {} each; {} has {}",
                       counted(over, "node"), counted(each, "task"),
                       queue_name(request),
                       counted(nodes_of_each, "such node"));
  }
  if (nodes_of_more < tasks % over) {
    return fmt::format("needs {} of its {} with room for {} each; {} has {}",
                       tasks % over, counted(over, "node"),
                       counted(each + 1, "task"), queue_name(request),
                       counted(nodes_of_more, "such node"));
  }
  return std::nullopt;
}

}  // namespace

Shape shape_of(const schema::NodeSpec& spec) {
  Shape shape;
  shape.group = spec.group() ? spec.group()->str() : "";
  if (shape.group.empty()) shape.group = default_group;
  shape.simulated = spec.simulated();
  shape.cpu_milli = spec.cpu_milli();
  shape.memory_bytes = spec.memory_bytes();
  if (!spec.devices()) return shape;
  for (const auto* device : *spec.devices()) {
    Shape::Gpus sort{device->model()->str(), 1, device->memory_bytes()};
    const auto same = std::find_if(
        shape.gpus.begin(), shape.gpus.end(), [&](const Shape::Gpus& gpus) {
          return gpus.model == sort.model &&
                 gpus.memory_bytes == sort.memory_bytes;
        });
    if (same != shape.gpus.end()) {
      ++same->count;
    } else {
      shape.gpus.push_back(std::move(sort));
    }
  }
  return shape;
}

std::uint64_t tasks_on_empty(const Shape& shape, const Request& request,
                             std::uint64_t limit) {
  if (!same_queue(shape, request)) return 0;
  auto most = limit;
  if (request.cpu_milli > 0) {
    most = std::min<std::uint64_t>(most, shape.cpu_milli / request.cpu_milli);
  }
  if (request.memory_bytes > 0) {
    most = std::min(most, shape.memory_bytes / request.memory_bytes);
  }
  if (request.gpus == 0) return most;
  std::uint64_t low = 0;
  while (low < most) {
    const auto middle = low + (most - low + 1) / 2;
    if (gpus_suffice(shape, request, middle)) {
      low = middle;
    } else {
      most = middle - 1;
    }
  }
  return low;
}

std::optional<std::string> impossible(const std::vector<Shape>& shapes,
                                      const Request& request) {
  Shapes usable;
  for (const auto& shape : shapes) {
    if (!same_queue(shape, request)) continue;
    usable.push_back(&shape);
  }
  if (usable.empty()) {
    return fmt::format("no {} in group {}: nothing could run it",
                       request.simulated ? "simulated node" : "node",
                       request.group);
  }
  if (auto text = one_task_lacks(usable, request)) return text;
  return gang_lacks(usable, request);
}

}  // namespace reeve::cluster
