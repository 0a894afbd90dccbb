// queue.
#include <fmt/format.h>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/session/session_text.hpp"

namespace reeve::tools {
namespace {

using std::string;
using Align = Table::Align;

constexpr std::uint64_t queue_limit = 50;

string factors_text(const schema::QueueEntry& entry) {
  string out;
  if (entry.factors() == nullptr) return out;
  for (const auto* factor : *entry.factors())
    out += fmt::format("{}{} {:g}", out.empty() ? "" : ", ",
                       factor->name()->str(), factor->value());
  return out;
}

string entry_json(const schema::QueueEntry& entry) {
  string inner;
  schema::append_json(inner, &entry, schema::QueueEntryTypeTable());
  return fmt::format("{{\"session_id\":\"{}\",{}",
                     to_text(SessionId{entry.session()}), inner.substr(1));
}

string answer_json(const schema::QueueAnswer& answer) {
  std::vector<string> entries;
  if (answer.entries() != nullptr)
    for (const auto* entry : *answer.entries())
      entries.push_back(entry_json(*entry));
  return JsonObject()
      .text("group", schema::text(answer.group()))
      .text("policy", schema::text(answer.policy()))
      .number("length", answer.length())
      .number("held", answer.held())
      .raw("entries", json_array(entries))
      .done();
}

string waits_for(const schema::QueueEntry& entry) {
  if (entry.held() && entry.after() == nullptr)
    return "not before " + local_time(entry.not_before_at());
  return string(schema::text(entry.reason()));
}

string answer_text(const Context& context, const schema::QueueAnswer& answer) {
  string out = fmt::format("group {}: {}\n", schema::text(answer.group()),
                           schema::text(answer.policy()));
  Table table({{"PLACE", Align::right},
               {"ID"},
               {"NAME", Align::left, 2},
               {"USER", Align::left, 1},
               {"PROJECT", Align::left, 5},
               {"PRIORITY", Align::right, 3},
               {"TASKS", Align::right},
               {"EACH TASK", Align::left, 4},
               {"WAITS FOR"},
               {"EXPECTED"},
               {"PLACE BY", Align::left, 6}});
  std::uint64_t place = 0;
  for (const auto* entry : *answer.entries())
    table.add({entry->held() ? string() : fmt::format("{}", ++place),
               to_text(SessionId{entry->session()}),
               string(schema::text(entry->name())),
               string(schema::text(entry->user())),
               string(schema::text(entry->project())),
               fmt::format("{}", entry->priority()),
               fmt::format("{}", entry->tasks()),
               request_text(entry->request()), waits_for(*entry),
               local_time(entry->expected_start_at()), factors_text(*entry)});
  return out + table.text(context.terminal);
}

}  // namespace

Result command_queue(const Context& context, const Arguments& arguments) {
  std::uint64_t limit = queue_limit;
  if (const auto text = arguments.find("--limit")) {
    const auto count = parse_count(*text, "number of sessions", 1, UINT32_MAX);
    if (!count)
      return fail(Errc::usage, fmt::format("--limit: {}", count.error().text));
    limit = *count;
  }
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  flatbuffers::FlatBufferBuilder builder(128);
  const string group(arguments.text("--group"));
  const auto body = schema::CreateQueueQueryDirect(
      builder, group.empty() ? nullptr : group.c_str(), arguments.has("--sim"),
      static_cast<std::uint32_t>(limit));
  const auto asked =
      (*cell)->ask(builder, schema::QueryBody::QueueQuery, body.Union());
  if (!asked) return tl::unexpected(asked.error());
  const auto* answer = (*asked)->body_as_QueueAnswer();
  if (answer == nullptr)
    return fail(Errc::internal, "the cell answered another question");
  if (context.json) {
    print(answer_json(*answer) + '\n');
    return 0;
  }
  const std::uint64_t shown = answer->entries() ? answer->entries()->size() : 0;
  if (shown == 0) {
    if (!context.quiet)
      say(fmt::format("nobody waits in group {}",
                      schema::text(answer->group())));
    return 0;
  }
  print(answer_text(context, *answer));
  const std::uint64_t all = answer->length() + answer->held();
  if (shown < all && !context.quiet)
    say(fmt::format("waiting beside these: {}; --limit N shows more",
                    counted(all - shown, "session")));
  return 0;
}

}  // namespace reeve::tools
