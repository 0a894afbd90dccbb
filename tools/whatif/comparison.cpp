#include "tools/whatif/comparison.hpp"

#include <algorithm>
#include <tuple>

namespace reeve::tools {

using namespace cluster::simulation;
using std::string;

void align(Comparison& comparison) {
  auto& was = comparison.was.use;
  auto& would = comparison.would.use;
  if (!was || !would) return;
  was->series().widen(would->series().piece_ns());
  would->series().widen(was->series().piece_ns());
}

Time end_of(const Comparison& comparison) {
  return std::max({comparison.to, comparison.was.figures.last_end,
                   comparison.would.figures.last_end});
}

double gpu_use(const Side& side) {
  if (!side.use || side.use->offered_total().gpu_milli_ns <= 0) return -1;
  return static_cast<double>(side.use->held_total().gpu_milli_ns) /
         static_cast<double>(side.use->offered_total().gpu_milli_ns);
}

double cpu_use(const Side& side) {
  if (!side.use || side.use->offered_total().cpu_milli_ns <= 0) return -1;
  return static_cast<double>(side.use->held_total().cpu_milli_ns) /
         static_cast<double>(side.use->offered_total().cpu_milli_ns);
}

const string& user_key(const Comparison& all, const UserFigures& user) {
  return all.work->users.all()[user.user];
}

string user_name(const Comparison& all, std::uint32_t user) {
  const string& name = all.work->users.all()[user];
  return name.empty() ? "-" : name;
}

double gpu_hours(const Side& side, const string& user) {
  if (!side.use) return 0;
  const auto found = side.use->by_user().find(user);
  if (found == side.use->by_user().end()) return 0;
  return static_cast<double>(found->second.gpu_milli_ns) /
         static_cast<double>(cluster::accounting::gpu_hour);
}

std::vector<std::size_t> users_by_weight(const Comparison& all) {
  std::vector<std::pair<double, std::size_t>> weights;
  const auto& list = all.would.figures.users;
  for (std::size_t i = 0; i < list.size(); ++i)
    weights.emplace_back(-gpu_hours(all.would, user_key(all, list[i])), i);
  std::sort(weights.begin(), weights.end(), [&](const auto& a, const auto& b) {
    const auto key = [&](const auto& one) {
      return std::tuple(one.first,
                        -static_cast<double>(list[one.second].sessions),
                        one.second);
    };
    return key(a) < key(b);
  });
  std::vector<std::size_t> out;
  for (const auto& [weight, i] : weights) out.push_back(i);
  return out;
}

}  // namespace reeve::tools
