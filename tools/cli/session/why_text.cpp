#include "tools/cli/session/why_text.hpp"

#include <fmt/format.h>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "schema/wire.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {
namespace {

// Behind the count of nodes.
constexpr std::size_t why_indent = 14;

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
  return fmt::format("{} on {}, by {}, {} GPU",
                     to_text(SessionId{release.session()}),
                     text(release.node()), local_time(release.at()),
                     format_milli(release.gpu_milli()));
}

}  // namespace

std::string why_text(const schema::WhyAnswer& why, const Terminal& terminal) {
  std::string out;
  if (why.summary() != nullptr)
    out += fmt::format("{}\n", why.summary()->str());
  if (why.reasons() != nullptr)
    for (const auto* reason : *why.reasons())
      out += fmt::format(
          "{:>6} node{} {}\n", reason->nodes(),
          reason->nodes() == 1 ? ": " : "s:", reason->reason()->str());
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
                         const Terminal& terminal) {
  if (const std::string no = text(run.rejection()); !no.empty())
    return fmt::format("it would be refused: {} ({})\n", no, text(run.rule()));
  if (run.nodes() == nullptr || run.nodes()->size() == 0)
    return "it would wait: " +
           (run.why() ? why_text(*run.why(), terminal) : std::string("\n"));
  std::string out = "it would start at once on";
  std::string last;
  std::size_t times = 0;
  const auto tell = [&] {
    if (times > 0)
      out += fmt::format(" {}{}", last,
                         times > 1 ? fmt::format(" ({} tasks)", times) : "");
  };
  for (const auto* node : *run.nodes()) {
    if (node->str() != last) {
      tell();
      last = node->str();
      times = 0;
    }
    ++times;
  }
  tell();
  return out + '\n';
}

}  // namespace reeve::tools
