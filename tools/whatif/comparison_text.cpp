// The two sides as tables.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cluster/units.hpp"
#include "tools/cli/context.hpp"
#include "tools/whatif/comparison.hpp"

namespace reeve::tools {

using namespace cluster::simulation;
using std::string;

namespace {

constexpr std::size_t users_shown = 20;
constexpr const char* nothing = "-";

string duration(double ns) {
  return format_duration(static_cast<std::uint64_t>(ns));
}

string percent_text(double share) {
  return share < 0 ? nothing : fmt::format("{:.1f} %", 100 * share);
}

// "-75 %", "+12 %", "=", "about =", "x 40".
string change(double was, double would) {
  if (was == would) return "=";
  if (was <= 0) return nothing;
  const double ratio = would / was;
  if (ratio >= 10) return fmt::format("x {:.0f}", ratio);
  const double points = 100 * (ratio - 1);
  if (std::abs(points) < 0.5) return "about =";
  // Not all of it is gone.
  if (points < -99.5 && would > 0) return "-99.9 %";
  return fmt::format("{:+.0f} %", points);
}

string difference(double was, double would) {
  if (was < 0 || would < 0) return nothing;
  const double points = 100 * (would - was);
  if (std::abs(points) < 0.05) return "=";
  return fmt::format("{:+.1f} points", points);
}

string upper(string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

class Sides {
 public:
  Sides(const Comparison& all, const Terminal& terminal)
      : all_(all),
        terminal_(terminal),
        table_({{"", Table::Align::left},
                {upper(all.really), Table::Align::right},
                {"WHAT IF", Table::Align::right},
                {"CHANGE", Table::Align::right, 1}}) {}

  string text() {
    lengths("waiting", &Figures::waiting);
    lengths("completion", &Figures::completion);
    if (all_.was.figures.gang_waiting.count > 0)
      times("waiting, largest gangs", all_.was.figures.gang_waiting.mean_ns,
            all_.would.figures.gang_waiting.mean_ns);
    number("slowdown, mean", all_.was.figures.slowdown,
           all_.would.figures.slowdown);
    share("GPU use", gpu_use(all_.was), gpu_use(all_.would));
    share("CPU use", cpu_use(all_.was), cpu_use(all_.would));
    share("fragmentation", all_.was.fragmentation, all_.would.fragmentation);
    number("fairness", all_.was.figures.fairness, all_.would.figures.fairness);
    count("not started", all_.was.figures.waiting_still,
          all_.would.figures.waiting_still);
    count("refused", all_.was.figures.refused, all_.would.figures.refused);
    count("requeued", all_.was.figures.requeues, all_.would.figures.requeues);
    return table_.text(terminal_);
  }

 private:
  void lengths(std::string_view what, Distribution Figures::*of) {
    const Distribution& was = all_.was.figures.*of;
    const Distribution& would = all_.would.figures.*of;
    times(fmt::format("{}, mean", what), was.mean_ns, would.mean_ns);
    const struct {
      const char* name;
      std::uint64_t Distribution::*value;
    } rows[] = {{"p50", &Distribution::p50_ns},
                {"p95", &Distribution::p95_ns},
                {"p99", &Distribution::p99_ns}};
    for (const auto& row : rows)
      times(fmt::format("{}, {}", what, row.name),
            static_cast<double>(was.*row.value),
            static_cast<double>(would.*row.value));
  }

  void add(std::string_view what, string was, string would, string changed) {
    table_.add(
        {string(what), std::move(was), std::move(would), std::move(changed)});
  }
  void times(std::string_view what, double was, double would) {
    add(what, duration(was), duration(would), change(was, would));
  }
  void number(std::string_view what, double was, double would) {
    add(what, fmt::format("{:.2f}", was), fmt::format("{:.2f}", would),
        change(was, would));
  }
  void share(std::string_view what, double was, double would) {
    if (was < 0 && would < 0) return;
    add(what, percent_text(was), percent_text(would), difference(was, would));
  }
  void count(std::string_view what, std::uint64_t was, std::uint64_t would) {
    if (was == 0 && would == 0) return;
    add(what, fmt::format("{}", was), fmt::format("{}", would),
        was == would ? "=" : nothing);
  }

  const Comparison& all_;
  Terminal terminal_;
  Table table_;
};

string amounts(const Side& side) {
  return fmt::format("{}, {}, {}", counted(side.nodes, "node"),
                     counted(side.gpus, "GPU"),
                     counted(side.cpu_milli / 1000, "CPU"));
}

string left_out(const Comparison& all) {
  string out;
  if (all.withdrawn > 0)
    out += fmt::format("{} that ended before they started", all.withdrawn);
  if (all.unknown_length > 0)
    out += fmt::format("{}{} that wait and have no time limit",
                       out.empty() ? "" : ", ", all.unknown_length);
  return out;
}

string head(const Comparison& all, const Terminal& terminal) {
  Sheet sheet;
  sheet.add("of", all.of);
  if (all.dated) {
    sheet.add("from", local_time(all.from.value));
    sheet.add("to",
              fmt::format("{}  ({})", local_time(all.to.value),
                          format_duration(all.to.value - all.from.value)));
  } else {
    sheet.add("length", format_duration(all.to.value - all.from.value));
  }
  sheet.add("sessions",
            fmt::format("{} of {}", all.would.figures.sessions,
                        counted(all.would.figures.users.size(), "user")));
  if (const string out = left_out(all); !out.empty())
    sheet.add("left out", out);
  sheet.add(all.really, amounts(all.was));
  sheet.add("what if", fmt::format("{}{}{}", amounts(all.would),
                                   all.would.policy.empty() ? "" : ", policy ",
                                   all.would.policy));
  return sheet.text(terminal);
}

string users(const Comparison& all, const Terminal& terminal) {
  Table table({{"USER", Table::Align::left},
               {"SESSIONS", Table::Align::right, 1},
               {"GPU HOURS", Table::Align::right, 2},
               {"WAITING", Table::Align::right},
               {"WHAT IF", Table::Align::right},
               {"SLOWDOWN", Table::Align::right, 3},
               {"WHAT IF", Table::Align::right, 3}});
  const auto order = users_by_weight(all);
  for (std::size_t i = 0; i < order.size() && i < users_shown; ++i) {
    const auto& was = all.was.figures.users[order[i]];
    const auto& would = all.would.figures.users[order[i]];
    table.add({user_name(all, was.user), fmt::format("{}", was.sessions),
               fmt::format("{:.1f}", gpu_hours(all.would, user_key(all, was))),
               duration(was.waiting.mean_ns), duration(would.waiting.mean_ns),
               fmt::format("{:.2f}", was.slowdown),
               fmt::format("{:.2f}", would.slowdown)});
  }
  string out = table.text(terminal);
  if (order.size() > users_shown)
    out += fmt::format("and {} more (--json has all)\n",
                       order.size() - users_shown);
  return out;
}

}  // namespace

string comparison_text(const Comparison& all, const Terminal& terminal) {
  string out = head(all, terminal) + "\n" + Sides(all, terminal).text();
  if (all.would.figures.users.size() > 1) out += "\n" + users(all, terminal);
  return out;
}

}  // namespace reeve::tools
