// state: now from the cell, then from the log.
#include <fmt/format.h>

#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/log_tool.hpp"

namespace reeve::tools {
namespace {

Result live_digest(const Context& context) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  flatbuffers::FlatBufferBuilder builder(64);
  const auto body = schema::CreateDigestQuery(builder);
  const auto answer =
      (*cell)->ask(builder, schema::QueryBody::DigestQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* digest = (*answer)->body_as_DigestAnswer();
  if (digest == nullptr)
    return fail(Errc::internal, "the cell answered another question");
  const std::string text = digest->digest()->str();
  print(context.json ? JsonObject()
                               .number("seq", answer->seq())
                               .text("digest", text)
                               .done() +
                           '\n'
                     : text + '\n');
  return 0;
}

}  // namespace

Result command_state(const Context& context, const Arguments& arguments) {
  const bool now = arguments.has("--digest") && !arguments.has("--at") &&
                   !arguments.has("--log");
  if (now) {
    auto result = live_digest(context);
    if (result || result.error().code != Errc::unreachable) return result;
    if (!context.quiet)
      say("reeve: the cell does not run; this is the digest of its log");
  }
  return tl::unexpected(run_log_tool(context));
}

}  // namespace reeve::tools
