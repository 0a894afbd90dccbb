// gpu quarantine, gpu release.
#include <fmt/format.h>

#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {
namespace {

Result change_gpu(const Context& context, const Arguments& arguments,
                  flatbuffers::FlatBufferBuilder& builder,
                  schema::CommandBody kind, flatbuffers::Offset<void> body,
                  const char* done) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto reply = (*cell)->command(builder, kind, body);
  if (!reply) return tl::unexpected(reply.error());
  const std::string& node = arguments.words[0];
  const std::string& gpu = arguments.words[1];
  if (context.json)
    print(JsonObject()
              .text("node", node)
              .text("gpu", gpu)
              .number("seq", (*reply)->seq())
              .done() +
          '\n');
  else if (!context.quiet)
    say(fmt::format("GPU {} of {} {}", gpu, node, done));
  return 0;
}

}  // namespace

Result command_gpu_quarantine(const Context& context,
                              const Arguments& arguments) {
  flatbuffers::FlatBufferBuilder builder;
  const std::string reason(arguments.text("--reason"));
  const auto body = schema::CreateQuarantineDeviceDirect(
      builder, arguments.words[0].c_str(), arguments.words[1].c_str(),
      reason.empty() ? nullptr : reason.c_str());
  return change_gpu(context, arguments, builder,
                    schema::CommandBody::QuarantineDevice, body.Union(),
                    "is offered to nobody now; what runs there goes on");
}

Result command_gpu_release(const Context& context, const Arguments& arguments) {
  flatbuffers::FlatBufferBuilder builder;
  const auto body = schema::CreateReleaseDeviceDirect(
      builder, arguments.words[0].c_str(), arguments.words[1].c_str(),
      arguments.has("--force"));
  return change_gpu(context, arguments, builder,
                    schema::CommandBody::ReleaseDevice, body.Union(),
                    "is offered again");
}

}  // namespace reeve::tools
