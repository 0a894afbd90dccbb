// log repair: shows the plan, asks, carries it out.
#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "schema/json.hpp"
#include "store/repair.hpp"
#include "tools/log/handlers.hpp"
#include "tools/log/log_range.hpp"
#include "tools/log/meter.hpp"

namespace reeve::tools {
namespace {

using std::string;

string range_text(std::uint64_t from, std::uint64_t to) {
  return fmt::format("{} to {}", from, to);
}

string pieces_json(const std::vector<store::RepairPiece>& pieces) {
  std::vector<string> out;
  for (const auto& piece : pieces)
    out.push_back(JsonObject()
                      .number("from", piece.from)
                      .number("to", piece.to)
                      .text("source", piece.source)
                      .done());
  return json_array(out);
}

string plan_json(const store::RepairPlan& plan, bool done) {
  JsonObject out;
  out.text("log", plan.layout.directory.string())
      .truth("whole", !plan.needed())
      .number("acknowledged_seq", plan.mark.head.sequence)
      .number("head_seq", plan.head.sequence);
  if (!plan.needed()) return out.done();
  std::vector<string> problems;
  for (const auto& problem : plan.problems)
    schema::append_json_string(problems.emplace_back(), problem);
  return out.text("plan", plan.id)
      .raw("problems", json_array(problems))
      .raw("archives", pieces_json(plan.archives))
      .raw("pieces", pieces_json(plan.pieces))
      .number("lost_from", plan.lost_from)
      .number("lost_to", plan.lost_to)
      .number("cut_from", plan.cut_from)
      .number("cut_to", plan.cut_to)
      .text("quarantine", plan.quarantine.string())
      .truth("done", done)
      .done();
}

string plan_text(const store::RepairPlan& plan) {
  string out = "what is wrong:\n";
  for (const auto& problem : plan.problems)
    out += fmt::format("  {}\n", problem);
  out += "what the mended log would be made of:\n";
  for (const auto* list : {&plan.archives, &plan.pieces})
    for (const auto& piece : *list)
      out += fmt::format("  events {} from {}\n",
                         range_text(piece.from, piece.to), piece.source);
  if (plan.start.sequence > 0)
    out += fmt::format("  archives up to event {} stay where they are\n",
                       plan.start.sequence);
  if (plan.lost_from != 0)
    out += fmt::format(
        "LOST: events {} were acknowledged and are in none of these; name a "
        "copy, export or archive that has them with --from\n",
        range_text(plan.lost_from, plan.lost_to));
  if (plan.cut_from != 0)
    out += fmt::format("cut off: what is there of events {}\n",
                       range_text(plan.cut_from, plan.cut_to));
  return out + fmt::format(
                   "the log would end at event {}; the damaged files go to {}, "
                   "nothing is removed\n",
                   plan.head.sequence, plan.quarantine.string());
}

// True when the person typed this plan's id, or gave it with --yes.
Expected<bool> agreed(const Arguments& arguments, const string& id) {
  if (const auto given = arguments.find("--yes")) {
    if (*given == id) return true;
    return fail(Errc::rejected,
                fmt::format("--yes {} is not the id of this plan, which is {}: "
                            "nothing was changed",
                            *given, id));
  }
  if (::isatty(STDIN_FILENO) != 1) return false;
  say(fmt::format("type {} to carry this out: ", id));
  string typed;
  std::getline(std::cin, typed);
  return typed == id;
}

}  // namespace

Result log_repair(const Context& context, const Arguments& arguments) {
  const std::filesystem::path log(arguments.find("--log").value_or(
      std::string_view(context.data.native())));
  std::vector<std::filesystem::path> sources;
  for (const auto& source : arguments.all("--from"))
    sources.emplace_back(source);
  Meter looking(context.quiet, "looking", 1, 0);
  const auto plan = store::plan_repair(
      log, sources, [&](std::uint64_t event) { looking.at(event); });
  looking.done();
  if (!plan) return tl::unexpected(plan.error());
  if (!plan->needed()) {
    print(context.json
              ? plan_json(*plan, false) + '\n'
              : fmt::format("the log is whole up to event {}: there is nothing "
                            "to repair\n",
                            plan->head.sequence));
    return 0;
  }
  if (!context.json) print(plan_text(*plan));
  const auto yes = agreed(arguments, plan->id);
  if (!yes) return tl::unexpected(yes.error());
  if (!*yes) {
    if (context.json) print(plan_json(*plan, false) + '\n');
    if (!context.quiet)
      say(fmt::format("nothing was changed; --yes {} carries this plan out",
                      plan->id));
    return exit_code(Errc::damaged);
  }
  Meter mending(context.quiet, "mending", plan->start.sequence + 1,
                plan->head.sequence);
  const Status done =
      store::carry_out(*plan, [&](std::uint64_t event) { mending.at(event); });
  mending.done();
  if (!done) return tl::unexpected(done.error());
  print(context.json
            ? plan_json(*plan, true) + '\n'
            : fmt::format("mended: the log ends at event {}; \"reeve log "
                          "verify\" proves it\n",
                          plan->head.sequence));
  return 0;
}

}  // namespace reeve::tools
