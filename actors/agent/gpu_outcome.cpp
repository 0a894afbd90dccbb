#include "actors/agent/gpu_outcome.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace reeve::agent {
namespace {

using gpu::probe::End;
using gpu::probe::Grade;
using gpu::probe::Outcome;
using schema::DeviceVerdict;

// Of all that a probe measures, what people compare devices by.
constexpr std::array<std::string_view, 9> told_figures = {
    "memory_read", "memory_write", "memory_copy", "memory_test", "to_device",
    "to_host",     "fp32",         "fp64",        "bf16"};

DeviceVerdict verdict_of(Grade grade) {
  switch (grade) {
    case Grade::healthy: return DeviceVerdict::healthy;
    case Grade::slow: return DeviceVerdict::slow;
    case Grade::unfinished: return DeviceVerdict::unfinished;
    case Grade::faulty: return DeviceVerdict::faulty;
  }
  return DeviceVerdict::faulty;
}

// An instance has a part of what a table says of its card.
const gpu::probe::Model* model_of(const std::string& name,
                                  const gpu::probe::Models& site) {
  const auto is_instance = [](const std::string& model) {
    return model.find(" MIG ") != std::string::npos;
  };
  for (const auto* models : {&site, &gpu::probe::Models::known()})
    if (const auto* found = models->find(name);
        found && is_instance(found->name) == is_instance(name))
      return found;
  return nullptr;
}

std::uint32_t share_milli(const gpu::probe::Model* model,
                          const gpu::probe::Figure& figure) {
  if (!model) return 0;
  for (const auto& limit : model->limits)
    if (limit.figure == figure.name && limit.limit > 0)
      return static_cast<std::uint32_t>(
          std::clamp(1000 * figure.value / limit.limit, 0.0, 1e6));
  return 0;
}

std::vector<GpuFigure> figures_of(const Outcome& outcome,
                                  const gpu::probe::Model* model) {
  std::vector<GpuFigure> figures;
  for (const auto& result : outcome.results)
    for (const auto& figure : result.figures) {
      const bool told = std::find(told_figures.begin(), told_figures.end(),
                                  figure.name) != told_figures.end();
      // A probe that is broken may say anything.
      if (!told || !(figure.value >= 0 && figure.value < 1e19)) continue;
      if (figures.size() < told_figures.size())
        figures.push_back({figure.name,
                           static_cast<std::uint64_t>(figure.value),
                           share_milli(model, figure)});
    }
  return figures;
}

// What the runner says of the run; of what the program wrote, the last line.
std::string last_remark(const Outcome& outcome) {
  return outcome.remarks.empty() ? "it said nothing" : outcome.remarks.back();
}

// Of one check; 0: it was not told.
double figure_of(const Outcome& outcome, std::string_view check,
                 std::string_view name) {
  for (const auto& result : outcome.results)
    for (const auto& figure : result.figures)
      if (result.check == check && figure.name == name) return figure.value;
  return 0;
}

// Enough of the memory to leave none to a program that is not seen.
bool is_all_cleared(double cleared, double memory) {
  const double left =
      std::min(static_cast<double>(clear_reserve_bytes), memory / 4);
  return memory > 0 && cleared >= memory - left;
}

}  // namespace

GpuJobDone test_result(const GpuJob& job, const Outcome& outcome,
                       const gpu::probe::History& history,
                       const std::vector<gpu::Finding>& lasting,
                       const gpu::probe::Models& site) {
  GpuJobDone done;
  done.id = job.id;
  done.uuid = job.uuid;
  if (outcome.end == End::not_started) {
    done.text = last_remark(outcome);
    return done;
  }
  const auto* model = model_of(job.model, site);
  auto verdict = gpu::probe::judge(outcome.results, model, history);
  const bool by_itself = outcome.end == End::exited;
  if (verdict.grade == Grade::unfinished && !by_itself)
    verdict.reasons.insert(verdict.reasons.begin(), last_remark(outcome));
  done.verdict = verdict_of(verdict.grade);
  done.figures = figures_of(outcome, model);
  if (verdict.grade == Grade::slow) {
    for (const std::string& reason : verdict.reasons)
      done.text += (done.text.empty() ? "" : "; ") + reason;
  } else if (verdict.grade != Grade::healthy) {
    done.text = gpu::judge_probe(verdict).reason;
  }
  if (!lasting.empty() && verdict.grade != Grade::faulty) {
    done.verdict = DeviceVerdict::faulty;
    done.text = lasting.front().reason;
  }
  return done;
}

std::string why_unclear(const Outcome& outcome) {
  if (outcome.end == End::not_started) return last_remark(outcome);
  for (const auto& result : outcome.results) {
    if (!result.wrong.empty())
      return fmt::format("{}: {}", result.check, result.wrong.front());
    if (!result.error.empty())
      return fmt::format("{}: {}", result.check, result.error);
  }
  const double cleared = figure_of(outcome, "clear", "cleared_bytes");
  if (outcome.end != End::exited || outcome.code != 0 || !(cleared > 0))
    return fmt::format("the probe did not clear its memory: {}",
                       last_remark(outcome));
  const double memory = figure_of(outcome, "device", "memory_bytes");
  if (is_all_cleared(cleared, memory)) return "";
  return fmt::format(
      "only {:.1f} of {:.1f} GB could be cleared: something else holds the "
      "rest",
      cleared / 1e9, memory / 1e9);
}

}  // namespace reeve::agent
