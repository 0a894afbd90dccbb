// reservation: set and remove.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

template <class T>
Expected<T> named(const char* option, Expected<T> value) {
  if (value) return value;
  return fail(value.error().code,
              fmt::format("{}: {}", option, value.error().text));
}

struct Times {
  std::uint64_t from_at = 0;
  std::uint64_t to_at = 0;
  std::uint64_t every_ns = 0;
};

Expected<std::uint64_t> parse_every(string_view text) {
  if (text == "day") return day_ns;
  if (text == "week") return 7 * day_ns;
  return parse_duration(text);
}

Expected<std::uint64_t> end_of(const Arguments& arguments,
                               std::uint64_t from_at, const TimeFrame& frame) {
  if (arguments.has("--to") == arguments.has("--for"))
    return fail(Errc::usage,
                "say when it ends: --to TIME or --for DURATION, one of them");
  if (arguments.has("--to"))
    return named("--to", parse_time(arguments.text("--to"), frame));
  const auto length = named("--for", parse_duration(arguments.text("--for")));
  if (!length) return length;
  if (*length > UINT64_MAX - from_at)
    return fail(Errc::usage, "--for: that is too long");
  return from_at + *length;
}

Expected<Times> times_of(const Arguments& arguments) {
  const TimeFrame frame = time_frame();
  Times out;
  if (!arguments.has("--from"))
    return fail(Errc::usage, "say when it begins: --from now, --from +2h");
  const auto from =
      named("--from", parse_time(arguments.text("--from"), frame));
  if (!from) return tl::unexpected(from.error());
  out.from_at = *from;
  const auto to = end_of(arguments, *from, frame);
  if (!to) return tl::unexpected(to.error());
  out.to_at = *to;
  if (!arguments.has("--every")) return out;
  const auto every = named("--every", parse_every(arguments.text("--every")));
  if (!every) return tl::unexpected(every.error());
  if (*every == 0) return fail(Errc::usage, "--every: a period is longer");
  out.every_ns = *every;
  return out;
}

Expected<std::vector<std::uint32_t>> devices_of(const Arguments& arguments) {
  std::vector<std::uint32_t> out;
  for (const string& text : arguments.all("--device")) {
    const auto index =
        named("--device", parse_count(text, "index of a GPU", 0, UINT32_MAX));
    if (!index) return tl::unexpected(index.error());
    out.push_back(static_cast<std::uint32_t>(*index));
  }
  return out;
}

Result change(const Context& context, flatbuffers::FlatBufferBuilder& builder,
              schema::CommandBody command, flatbuffers::Offset<void> body,
              const string& name, string_view done) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const auto reply = (*cell)->command(builder, command, body);
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    print(JsonObject()
              .text("reservation", name)
              .number("seq", (*reply)->seq())
              .done() +
          '\n');
  } else if (!context.quiet) {
    say(fmt::format("reservation {} {}", name, done));
  }
  return 0;
}

flatbuffers::Offset<schema::ReservationSpec> build(
    flatbuffers::FlatBufferBuilder& builder, const Arguments& arguments,
    const Times& times, const std::vector<std::uint32_t>& devices) {
  const auto texts = [&](const char* option) {
    const auto all = arguments.all(option);
    return all.empty() ? 0 : builder.CreateVectorOfStrings(all);
  };
  const string reason(arguments.text("--reason"));
  const auto kind = arguments.has("--maintenance")
                        ? schema::ReservationKind::maintenance
                        : schema::ReservationKind::reservation;
  const auto name = builder.CreateString(arguments.words[0]);
  const auto nodes = builder.CreateVectorOfStrings(arguments.all("--node"));
  const auto list = devices.empty() ? 0 : builder.CreateVector(devices);
  const auto users = texts("--user");
  const auto projects = texts("--project");
  return schema::CreateReservationSpec(
      builder, name, kind, nodes, list, users, projects, times.from_at,
      times.to_at, times.every_ns,
      reason.empty() ? 0 : builder.CreateString(reason));
}

}  // namespace

Result command_reservation_set(const Context& context,
                               const Arguments& arguments) {
  if (arguments.all("--node").empty())
    return fail(Errc::usage, "say of which nodes: --node NAME, again for more");
  const auto times = times_of(arguments);
  if (!times) return tl::unexpected(times.error());
  const auto devices = devices_of(arguments);
  if (!devices) return tl::unexpected(devices.error());
  flatbuffers::FlatBufferBuilder builder;
  const auto spec = build(builder, arguments, *times, *devices);
  const auto body = schema::CreateSetReservation(builder, spec);
  return change(context, builder, schema::CommandBody::SetReservation,
                body.Union(), arguments.words[0],
                fmt::format("is from {} to {}", local_time(times->from_at),
                            local_time(times->to_at)));
}

Result command_reservation_remove(const Context& context,
                                  const Arguments& arguments) {
  flatbuffers::FlatBufferBuilder builder;
  const string& name = arguments.words[0];
  const auto body =
      schema::CreateRemoveReservationDirect(builder, name.c_str());
  return change(context, builder, schema::CommandBody::RemoveReservation,
                body.Union(), name, "is removed");
}

}  // namespace reeve::tools
