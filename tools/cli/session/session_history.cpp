// history, why.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cluster/event_filter.hpp"
#include "cluster/session_id.hpp"
#include "schema/json.hpp"
#include "tools/args/event_text.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/log_tool.hpp"
#include "tools/cli/session/why_text.hpp"

namespace reeve::tools {

namespace {

// From the log itself where it lies here: its index knows where a session's
// events are. Else the cell is asked for all that lies between them.
bool log_is_here(const Context& context) {
  std::error_code ignored;
  const auto mark = context.data / "log" / "head.mark";
  return std::filesystem::exists(mark, ignored) &&
         ::access(mark.c_str(), R_OK) == 0;
}

}  // namespace

Result command_history(const Context& context, const Arguments& arguments) {
  const auto id = parse_session_id(arguments.words[0]);
  if (!id) return tl::unexpected(id.error());
  if (arguments.has("--log") || arguments.has("--at") ||
      arguments.has("--tree") || log_is_here(context))
    return tl::unexpected(run_log_tool(context));
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto view = (*cell)->session(*id);
  if (!view) return tl::unexpected(view.error());
  const std::int64_t offset = time_frame().utc_offset_s;
  Progress progress(context.quiet);
  std::string out;
  const auto read = (*cell)->read_log(
      (*view)->submitted_seq(), (*view)->last_seq(),
      [&](const schema::Event& event, const bus::Buffer&) {
        if (session_of(event) == id->value) {
          out += context.json ? schema::to_json(event) + '\n'
                              : wrapped(event_line(event, offset),
                                        context.terminal.width, event_indent);
        } else if (progress.due()) {
          progress.show(fmt::format("read up to event {} of {}", event.seq(),
                                    (*view)->last_seq()));
        }
        return true;
      });
  progress.clear();
  if (!read) return tl::unexpected(read.error());
  print(out);
  return 0;
}

Result command_why(const Context& context, const Arguments& arguments) {
  const auto id = parse_session_id(arguments.words[0]);
  if (!id) return tl::unexpected(id.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  flatbuffers::FlatBufferBuilder builder(128);
  const auto body = schema::CreateWhyQuery(builder, id->value);
  const auto answer =
      (*cell)->ask(builder, schema::QueryBody::WhyQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* why = (*answer)->body_as_WhyAnswer();
  if (why == nullptr)
    return fail(Errc::internal, "the cell answered another question");
  if (context.json) {
    print(fmt::format("{{\"session_id\":\"{}\",{}\n", to_text(*id),
                      schema::to_json(*why).substr(1)));
    return 0;
  }
  print(why_text(*why, context.terminal));
  return 0;
}

}  // namespace reeve::tools
