// The two sides as one JSON document.
#include <fmt/format.h>

#include "tools/whatif/comparison.hpp"

namespace reeve::tools {

using namespace cluster::simulation;
using std::string;

namespace {

string seconds(double ns) {
  return fmt::format("{:.3f}", ns / 1e9);
}

string lengths(const Distribution& of) {
  if (of.count == 0) return "null";
  return JsonObject()
      .number("count", of.count)
      .raw("mean", seconds(of.mean_ns))
      .raw("p50", seconds(static_cast<double>(of.p50_ns)))
      .raw("p95", seconds(static_cast<double>(of.p95_ns)))
      .raw("p99", seconds(static_cast<double>(of.p99_ns)))
      .raw("max", seconds(static_cast<double>(of.max_ns)))
      .done();
}

string percent(double share) {
  return share < 0 ? "null" : fmt::format("{:.3f}", 100 * share);
}

string side_json(const Side& side, const Comparison& all) {
  const Figures& figures = side.figures;
  JsonObject use;
  use.raw("gpu", percent(gpu_use(side))).raw("cpu", percent(cpu_use(side)));
  JsonObject out;
  if (side.policy.empty())
    out.raw("policy", "null");
  else
    out.text("policy", side.policy);
  out.number("nodes", side.nodes)
      .number("gpus", side.gpus)
      .number("cpu_milli", side.cpu_milli)
      .number("started", figures.started)
      .number("ended", figures.ended)
      .number("not_started", figures.waiting_still)
      .number("refused", figures.refused)
      .number("requeued", figures.requeues)
      .raw("waiting_s", lengths(figures.waiting))
      .raw("completion_s", lengths(figures.completion))
      .raw("largest_gangs_waiting_s", lengths(figures.gang_waiting))
      .real("slowdown", figures.slowdown)
      .raw("use_pct", use.done())
      .raw("fragmentation_pct", percent(side.fragmentation))
      .real("fairness", figures.fairness);
  if (figures.last_end.value == 0)
    out.raw("last_end", "null");
  else if (all.dated)
    out.time("last_end", figures.last_end.value);
  else
    out.raw("last_end", seconds(static_cast<double>(figures.last_end.value -
                                                    all.from.value)));
  return out.done();
}

string user_side(const Side& side, const UserFigures& user, const string& key) {
  return JsonObject()
      .raw("waiting_s", lengths(user.waiting))
      .raw("completion_s", lengths(user.completion))
      .real("slowdown", user.slowdown)
      .real("gpu_hours", gpu_hours(side, key))
      .done();
}

}  // namespace

string comparison_json(const Comparison& all) {
  JsonObject out;
  out.text("of", all.of);
  if (all.dated)
    out.time("from_at", all.from.value).time("to_at", all.to.value);
  else
    out.raw("length_s",
            seconds(static_cast<double>(all.to.value - all.from.value)));
  JsonObject left_out;
  left_out.number("withdrawn", all.withdrawn)
      .number("unknown_length", all.unknown_length);
  std::vector<string> users;
  for (const auto i : users_by_weight(all)) {
    const auto& was = all.was.figures.users[i];
    const auto& would = all.would.figures.users[i];
    users.push_back(
        JsonObject()
            .text("user", user_key(all, was))
            .number("sessions", was.sessions)
            .raw("really", user_side(all.was, was, user_key(all, was)))
            .raw("whatif", user_side(all.would, would, user_key(all, would)))
            .done());
  }
  return out.number("sessions", all.would.figures.sessions)
      .raw("left_out", left_out.done())
      .text("really_is", all.really)
      .raw("really", side_json(all.was, all))
      .raw("whatif", side_json(all.would, all))
      .raw("users", json_array(users))
      .done();
}

}  // namespace reeve::tools
