// lead.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/interrupts.hpp"

namespace reeve::tools {
namespace {

using std::string;

// A hand-over that takes longer is given up by the leader.
constexpr std::uint64_t hand_over_ns_max = 30'000'000'000;
constexpr int look_pause_ms = 50;

Expected<string> begin(Cell& cell, const string& to) {
  flatbuffers::FlatBufferBuilder builder(64);
  const auto body = schema::CreateHandOverQueryDirect(builder, to.c_str());
  const auto answer =
      cell.ask(builder, schema::QueryBody::HandOverQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* begun = (*answer)->body_as_HandOverAnswer();
  if (!begun) return fail(Errc::internal, "the cell answered another question");
  return string(schema::text(begun->to()));
}

}  // namespace

Result command_lead(const Context& context, const Arguments& arguments) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto to =
      begin(**cell, arguments.words.empty() ? "" : arguments.words[0]);
  if (!to) return tl::unexpected(to.error());
  Interrupts interrupts;
  const std::uint64_t begun = monotonic_ns();
  while (monotonic_ns() - begun < hand_over_ns_max) {
    const auto status = (*cell)->status();
    if (status && (*status)->role() == schema::ManagerRole::leading &&
        schema::text((*status)->leader()) == *to) {
      if (context.json)
        print(JsonObject()
                  .text("leader", *to)
                  .number("epoch", (*status)->epoch())
                  .done() +
              '\n');
      else if (!context.quiet)
        say(fmt::format("{} leads the cell, in epoch {}", *to,
                        (*status)->epoch()));
      return 0;
    }
    if (interrupts.wait(look_pause_ms) != 0)
      return fail(Errc::io, fmt::format("interrupted before {} led", *to));
  }
  return fail(Errc::busy, fmt::format("{} does not lead after {} s: \"reeve "
                                      "status\" says who does",
                                      *to, hand_over_ns_max / second_ns));
}

}  // namespace reeve::tools
