// ps.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/nearest.hpp"
#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/session/session_text.hpp"

namespace reeve::tools {
namespace {

using std::string;
using Align = Table::Align;
using std::string_view;

constexpr std::uint64_t ps_limit = 1'000;
constexpr std::uint32_t page_sessions = 500;

struct PsOptions {
  bool all = false;
  std::vector<schema::SessionState> states;
  string user;
  std::uint64_t limit = ps_limit;
};

// "pending,running" -> states.
Status add_states(string_view text, std::vector<schema::SessionState>& out) {
  const auto names = schema::EnumNamesSessionState();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const string_view word = text.substr(0, end);
    std::vector<string_view> known;
    std::size_t index = 0;
    for (; names[index] != nullptr; ++index) known.emplace_back(names[index]);
    const auto found = std::find(known.begin(), known.end(), word);
    if (found == known.end()) {
      const string_view near = nearest(word, known);
      return fail(
          Errc::usage,
          fmt::format(
              "--state: there is no state \"{}\"{} States are {}", word,
              near.empty() ? "." : fmt::format("; did you mean \"{}\"?", near),
              fmt::join(known, ", ")));
    }
    out.push_back(static_cast<schema::SessionState>(found - known.begin()));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

Expected<PsOptions> ps_options(const Arguments& arguments) {
  PsOptions out;
  out.all = arguments.has("--all");
  for (const string& text : arguments.all("--state"))
    if (auto good = add_states(text, out.states); !good)
      return tl::unexpected(good.error());
  out.user = arguments.text("--user");
  if (const auto limit = arguments.find("--limit")) {
    const auto count = parse_count(*limit, "number of sessions", 1);
    if (!count)
      return fail(Errc::usage, fmt::format("--limit: {}", count.error().text));
    out.limit = *count;
  }
  return out;
}

// One page of sessions below `before`, newest first.
Expected<Held<schema::Answer>> page(Cell& cell, const PsOptions& options,
                                    std::uint64_t before, std::uint32_t limit) {
  flatbuffers::FlatBufferBuilder builder;
  const auto query = schema::CreateSessionsQueryDirect(
      builder, options.all, options.states.empty() ? nullptr : &options.states,
      options.user.empty() ? nullptr : options.user.c_str(), 0, limit, true,
      before);
  return cell.ask(builder, schema::QueryBody::SessionsQuery, query.Union());
}

// The newest sessions, held by their pages; oldest first.
struct Newest {
  std::vector<Held<schema::Answer>> pages;
  std::vector<const schema::SessionView*> sessions;
  bool more = true;  // there are older ones
};

Expected<Newest> newest(Cell& cell, const PsOptions& options) {
  Newest out;
  std::uint64_t before = 0;
  while (out.more && out.sessions.size() < options.limit) {
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(
        options.limit - out.sessions.size(), page_sessions));
    auto answer = page(cell, options, before, count);
    if (!answer) return tl::unexpected(answer.error());
    const auto* body = (*answer)->body_as_SessionsAnswer();
    const bool none = body == nullptr || body->sessions() == nullptr ||
                      body->sessions()->size() == 0;
    out.more = !none && body->more();
    if (none) break;
    for (const auto* view : *body->sessions()) {
      before = view->session();
      out.sessions.push_back(view);
    }
    out.pages.push_back(std::move(*answer));
  }
  std::reverse(out.sessions.begin(), out.sessions.end());
  return out;
}

// How long it has been in the state that it shows.
string age_text(const schema::SessionView& view, std::uint64_t now) {
  std::uint64_t from = view.submitted_at();
  std::uint64_t to = now;
  if (view.started_at() != 0) from = view.started_at();
  if (view.ended_at() != 0) to = view.ended_at();
  return from == 0 || to < from ? string() : format_duration(to - from);
}

void add_row(Table& table, const schema::SessionView& view, std::uint64_t now) {
  const string state = EnumNameSessionState(view.state());
  const string name = view.name() && view.name()->size() > 0
                          ? view.name()->str()
                          : command_text(view);
  table.add({to_text(SessionId{view.session()}), state, name,
             string(schema::text(view.user())), request_text(view.request()),
             view.tasks_wanted() == 1 ? string("1")
                                      : fmt::format("{}", view.tasks_wanted()),
             age_text(view, now), places_text(view)});
  table.tone(1, tone_of(state));
}

}  // namespace

Result command_ps(const Context& context, const Arguments& arguments) {
  const auto options = ps_options(arguments);
  if (!options) return tl::unexpected(options.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  Table table({{"ID"},
               {"STATE"},
               {"NAME", Align::left, 1},
               {"USER", Align::left, 4},
               {"EACH TASK", Align::left, 5},
               {"TASKS", Align::right, 6},
               {"TIME", Align::right, 2},
               {"NODES", Align::left, 3}});
  const auto found = newest(**cell, *options);
  if (!found) return tl::unexpected(found.error());
  std::vector<string> documents;
  const std::uint64_t now = now_ns();
  for (const auto* view : found->sessions) {
    if (context.json)
      documents.push_back(session_json(*view));
    else
      add_row(table, *view, now);
  }
  if (context.json) {
    print(JsonObject()
              .raw("sessions", json_array(documents))
              .truth("more", found->more)
              .done() +
          '\n');
    return 0;
  }
  if (table.empty() && !context.quiet) {
    say(options->all ? "no sessions"
                     : "no session waits or runs (--all shows ended ones)");
  } else {
    print(table.text(context.terminal));
  }
  if (found->more && !context.quiet)
    say(
        fmt::format("these are the newest {}; there are older ones: --limit N "
                    "shows more",
                    found->sessions.size()));
  return 0;
}

}  // namespace reeve::tools
