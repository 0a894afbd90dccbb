#include "tools/cli/session/why_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cluster/printable.hpp"
#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "schema/wire.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {
namespace {

// Behind the count of nodes.
constexpr std::size_t why_indent = 14;

// Of those who would have to go, and of the nodes of a start, by name.
constexpr std::size_t makes_room_shown = 8;
constexpr std::size_t places_shown = 16;

std::string text(const flatbuffers::String* value) {
  return std::string(schema::text(value));
}

std::string factors_text(const schema::WhyAnswer& why) {
  std::string out;
  if (why.factors() == nullptr) return out;
  for (const auto* factor : *why.factors())
    out += fmt::format("{}{} {:g}", out.empty() ? "" : ", ",
                       factor->name()->str(), factor->value());
  return out;
}

std::string release_text(const schema::Release& release) {
  return fmt::format("{} on {}, by {}, {}",
                     to_text(SessionId{release.session()}),
                     text(release.node()), local_time(release.at()),
                     counted_milli(release.gpu_milli(), "GPU"));
}

// " n0 (2 tasks) n1", of all that would start.
std::string places_text(const schema::DryRunAnswer& run) {
  std::vector<std::pair<std::string_view, std::size_t>> places;
  std::map<std::string_view, std::size_t> index;
  for (const auto* node : *run.nodes()) {
    const auto [at, added] = index.emplace(node->string_view(), places.size());
    if (added) places.emplace_back(at->first, 0);
    ++places[at->second].second;
  }
  std::string out;
  for (std::size_t i = 0; i < std::min(places.size(), places_shown); ++i)
    out += fmt::format(
        " {}{}", places[i].first,
        places[i].second == 1
            ? std::string()
            : fmt::format(" ({})", counted(places[i].second, "task")));
  if (places.size() > places_shown)
    out += " and " + counted(places.size() - places_shown, "more node");
  return out;
}

// Who would have to go for it, and when they would be told.
std::string makes_room_text(const schema::DryRunAnswer& run,
                            std::uint64_t now_at) {
  if (run.makes_room() == nullptr || run.makes_room()->size() == 0) return {};
  std::vector<SessionId> first;
  for (const auto id : *run.makes_room())
    if (first.size() < makes_room_shown) first.emplace_back(id);
  std::string whom = to_text(first);
  if (run.makes_room()->size() > first.size())
    whom +=
        fmt::format(" and {} more", run.makes_room()->size() - first.size());
  const std::string when = run.makes_room_at() <= now_at
                               ? std::string("at once")
                               : "at " + local_time(run.makes_room_at());
  return fmt::format(
      "to make room for {}, {} would be told to end {}; then it starts\n",
      run.sessions() > 1 ? "the first of them" : "it", whom, when);
}

}  // namespace

std::string why_text(const schema::WhyAnswer& why, const Terminal& terminal) {
  std::string out;
  if (why.summary() != nullptr)
    out += printable(why.summary()->string_view()) + '\n';
  if (why.reasons() != nullptr)
    for (const auto* reason : *why.reasons())
      out += fmt::format("{:>6} node{} {}\n", reason->nodes(),
                         reason->nodes() == 1 ? ": " : "s:",
                         printable(reason->reason()->string_view()));
  Sheet sheet;
  const std::string lacks = text(why.nearest_lacks());
  if (const std::string nearest = text(why.nearest_node()); !nearest.empty())
    sheet.add("nearest node",
              lacks.empty() ? nearest : fmt::format("{} ({})", nearest, lacks));
  if (why.queue_length() != 0)
    sheet.add("in the queue", fmt::format("{} of {}", why.queue_position(),
                                          why.queue_length()));
  sheet.add("place by", factors_text(why));
  if (why.blocked_by() != 0)
    sheet.add("behind", to_text(SessionId{why.blocked_by()}));
  if (why.releases() != nullptr)
    for (const auto* release : *why.releases())
      sheet.add("has to end first", release_text(*release));
  sheet.add("expected start", local_time(why.expected_start_at()));
  sheet.add("as far as", text(why.expected_basis()));
  return wrapped(out, terminal.width, why_indent) + sheet.text(terminal);
}

std::string dry_run_text(const schema::DryRunAnswer& run,
                         const Terminal& terminal, std::uint64_t now_at) {
  if (const std::string no = text(run.rejection()); !no.empty())
    return fmt::format("it would be refused: {} ({})\n", printable(no),
                       text(run.rule()));
  const bool several = run.sessions() > 1;
  const std::uint32_t waiting = run.sessions() - run.starting();
  std::string out;
  if (run.starting() > 0)
    out = fmt::format("{} would start at once on{}\n",
                      several ? fmt::format("{} of {}", run.starting(),
                                            counted(run.sessions(), "session"))
                              : "it",
                      places_text(run));
  if (waiting == 0) return out;
  out += several ? fmt::format("{} would wait: ", counted(waiting, "session"))
                 : "it would wait: ";
  if (run.why()) out += why_text(*run.why(), terminal);
  return out + wrapped(makes_room_text(run, now_at), terminal.width, 0);
}

}  // namespace reeve::tools
