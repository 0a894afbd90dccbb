// reservation list.
#include <fmt/format.h>

#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"

namespace reeve::tools {
namespace {

using std::string;
using TextList = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;

void append(string& out, const TextList* texts, std::string_view before) {
  if (texts == nullptr) return;
  for (const auto* text : *texts)
    out += fmt::format("{}{}{}", out.empty() ? "" : " ", before, text->str());
}

string nodes_text(const schema::ReservationSpec& spec) {
  string out;
  append(out, spec.nodes(), "");
  if (spec.devices() == nullptr || spec.devices()->size() == 0) return out;
  out += " GPU";
  for (const std::uint32_t device : *spec.devices())
    out += fmt::format(" {}", device);
  return out;
}

string owners_text(const schema::ReservationSpec& spec) {
  if (spec.kind() == schema::ReservationKind::maintenance) return "nobody";
  string out;
  append(out, spec.users(), "");
  append(out, spec.projects(), "project:");
  return out;
}

}  // namespace

Result command_reservation_list(const Context& context, const Arguments&) {
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  flatbuffers::FlatBufferBuilder builder(64);
  const auto body = schema::CreateReservationsQuery(builder);
  const auto answer =
      (*cell)->ask(builder, schema::QueryBody::ReservationsQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* found = (*answer)->body_as_ReservationsAnswer();
  if (found == nullptr)
    return fail(Errc::internal, "the cell answered another question");
  Table table({{"NAME"},
               {"FOR", Table::Align::left, 1},
               {"NODES", Table::Align::left, 2},
               {"FROM"},
               {"TO"},
               {"EVERY", Table::Align::right, 4},
               {"REASON", Table::Align::left, 3}});
  std::vector<string> json;
  if (found->reservations() != nullptr)
    for (const auto* spec : *found->reservations()) {
      if (context.json) {
        string& one = json.emplace_back();
        schema::append_json(one, spec, schema::ReservationSpecTypeTable());
        continue;
      }
      table.add({spec->name()->str(), owners_text(*spec), nodes_text(*spec),
                 local_time(spec->from_at()), local_time(spec->to_at()),
                 spec->every_ns() ? format_duration(spec->every_ns()) : "",
                 string(schema::text(spec->reason()))});
    }
  print(context.json ? json_array(json) + '\n' : table.text(context.terminal));
  return 0;
}

}  // namespace reeve::tools
