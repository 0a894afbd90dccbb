#include "cluster/scheduling/typical.hpp"

#include <bit>

namespace reeve::cluster::scheduling {

namespace {

std::uint8_t magnitude(std::uint64_t amount) {
  return static_cast<std::uint8_t>(std::bit_width(amount));
}

}  // namespace

void TypicalRequests::add(const Need& need, std::uint64_t tasks) {
  if (need.gpus == 0) return;
  tasks = std::min(tasks, typical_tasks_at_once_max);
  auto& sum = sorts_[{need.gpus,
                      need.gpu_milli,
                      need.models,
                      need.sharer,
                      {magnitude(need.cpu_milli), magnitude(need.memory_bytes),
                       magnitude(need.gpu_memory_bytes)}}];
  const auto count = static_cast<double>(tasks);
  sum.tasks += count;
  sum.cpu_milli += count * need.cpu_milli;
  sum.memory_bytes += count * static_cast<double>(need.memory_bytes);
  sum.gpu_memory_bytes += count * static_cast<double>(need.gpu_memory_bytes);
  counted_ += tasks;
  added_ += tasks;
  if (counted_ >= typical_tasks_max) halve();
}

void TypicalRequests::halve() {
  counted_ /= 2;
  for (auto& [sort, sum] : sorts_) {
    sum.tasks /= 2;
    sum.cpu_milli /= 2;
    sum.memory_bytes /= 2;
    sum.gpu_memory_bytes /= 2;
  }
  std::erase_if(sorts_, [](const auto& one) { return one.second.tasks < 1; });
}

void TypicalRequests::renew() {
  added_ = 0;
  renew_after_ =
      std::clamp<std::uint64_t>(counted_ / 2, 16, typical_tasks_max / 8);
  std::vector<Typical> all;
  Sum whole;
  double gpu_milli = 0;
  for (const auto& [sort, sum] : sorts_) {
    const auto mean = [&](double amount) {
      return static_cast<std::uint64_t>(amount / sum.tasks + 0.5);
    };
    const auto& [gpus, milli, models, sharer, magnitudes] = sort;
    const double each = double{1} * gpus * milli;
    all.push_back({{static_cast<std::uint32_t>(mean(sum.cpu_milli)),
                    mean(sum.memory_bytes), gpus, milli,
                    mean(sum.gpu_memory_bytes), models, sharer},
                   sum.tasks,
                   each * sum.tasks / std::max(sum.cpu_milli, 1.0),
                   each * sum.tasks / std::max(sum.memory_bytes, 1.0)});
    whole.tasks += sum.tasks;
    whole.cpu_milli += sum.cpu_milli;
    whole.memory_bytes += sum.memory_bytes;
    gpu_milli += sum.tasks * each;
  }
  cpu_milli_each_ = gpu_milli > 0 ? whole.cpu_milli / gpu_milli : 0;
  memory_bytes_each_ = gpu_milli > 0 ? whole.memory_bytes / gpu_milli : 0;
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.frequency > b.frequency;
  });
  if (all.size() > typical_sorts_max) all.resize(typical_sorts_max);
  double sum = 0;
  for (const auto& one : all) sum += one.frequency;
  for (auto& one : all) one.frequency /= sum;
  most_common_ = std::move(all);
}

}  // namespace reeve::cluster::scheduling
