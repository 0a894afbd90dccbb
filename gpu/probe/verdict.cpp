#include "gpu/probe/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace reeve::gpu::probe {
namespace {

// "3.01 T", "55.2 G"
std::string scaled(double value) {
  if (value >= 1e12) return fmt::format("{:.3g} T", value / 1e12);
  if (value >= 1e9) return fmt::format("{:.3g} G", value / 1e9);
  return fmt::format("{:.3g} M", value / 1e6);
}

class Judge {
 public:
  Judge(const Model* model, const History& history)
      : model_(model), history_(history) {}

  void look_at(const Result& result) {
    for (const auto& sentence : result.wrong)
      say(Grade::faulty, fmt::format("{}: {}", result.check, sentence));
    if (!result.error.empty())
      say(Grade::unfinished, fmt::format("{}: {}", result.check, result.error));
    for (const Figure& figure : result.figures) {
      against_model(figure);
      against_itself(figure);
    }
  }

  void say(Grade grade, std::string reason) {
    reasons_.push_back({grade, std::move(reason)});
  }

  Verdict verdict() {
    std::stable_sort(
        reasons_.begin(), reasons_.end(),
        [](const auto& a, const auto& b) { return a.first > b.first; });
    Verdict verdict;
    if (!reasons_.empty()) verdict.grade = reasons_.front().first;
    for (auto& [grade, reason] : reasons_)
      verdict.reasons.push_back(std::move(reason));
    return verdict;
  }

 private:
  void against_model(const Figure& figure) {
    if (!model_) return;
    for (const Limit& limit : model_->limits)
      if (limit.figure == figure.name &&
          figure.value < limit.limit * limit.floor_share)
        say(Grade::slow,
            fmt::format("{} is {}/s, {:.0f} % of what a {} can; {:.0f} % is "
                        "the least",
                        figure.name, scaled(figure.value),
                        100 * figure.value / limit.limit, model_->name,
                        100 * limit.floor_share));
  }

  void against_itself(const Figure& figure) {
    const auto usual = history_.median(figure.name);
    if (!usual || figure.value >= *usual * own_share_min) return;
    say(Grade::slow,
        fmt::format("{} is {}/s, {:.0f} % of this device's own {}/s",
                    figure.name, scaled(figure.value),
                    100 * figure.value / *usual, scaled(*usual)));
  }

  const Model* model_;
  const History& history_;
  std::vector<std::pair<Grade, std::string>> reasons_;
};

}  // namespace

std::string_view name(Grade grade) {
  switch (grade) {
    case Grade::healthy: return "healthy";
    case Grade::slow: return "slow";
    case Grade::unfinished: return "unfinished";
    case Grade::faulty: return "faulty";
  }
  return "unknown";
}

Verdict judge(const std::vector<Result>& results, const Model* model,
              const History& history) {
  Judge judge(model, history);
  bool ended = false;
  for (const Result& result : results) {
    judge.look_at(result);
    ended = ended || result.check == end_of_probe;
  }
  if (!ended)
    judge.say(Grade::unfinished,
              results.empty() ? "the probe told nothing"
                              : fmt::format("the probe told nothing after {}",
                                            results.back().check));
  return judge.verdict();
}

}  // namespace reeve::gpu::probe
