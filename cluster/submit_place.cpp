// Whether a session could ever run: by what the nodes have, and by where it
// wants to be.
#include <fmt/format.h>

#include <map>

#include "cluster/decide.hpp"
#include "cluster/node_spec.hpp"
#include "cluster/rejecting.hpp"
#include "cluster/scheduling/capacity.hpp"
#include "cluster/scheduling/label_wishes.hpp"

namespace reeve::cluster {
namespace {

Check malformed(const char* rule, const Error& error) {
  return reject(RejectCode::malformed, rule, error.text);
}

// What it says of its place reads.
Check check_words(const Spec& spec) {
  if (!spec.constraint.empty())
    if (auto parsed = Constraint::parse(spec.constraint); !parsed)
      return malformed("constraint", parsed.error());
  for (const auto text : spec.prefer)
    if (auto parsed = Constraint::parse(text); !parsed)
      return malformed("prefer", parsed.error());
  for (const auto text : {spec.together, spec.apart})
    if (!text.empty())
      if (auto parsed = parse_company(text); !parsed)
        return malformed("company", parsed.error());
  if (!spec.together.empty() && spec.together == spec.apart)
    return reject(RejectCode::malformed, "company",
                  fmt::format("sessions of '{}' cannot be both together and "
                              "apart",
                              spec.apart));
  for (const auto text :
       {spec.together, spec.apart, spec.within, spec.reservation})
    if (text.size() > name_bytes_max)
      return reject(
          RejectCode::over_limit, "name_bytes_max",
          fmt::format("'{}...' has {} bytes; at most {} are possible",
                      text.substr(0, 20), text.size(), name_bytes_max),
          name_bytes_max, text.size());
  return std::nullopt;
}

bool of_its_queue(const Node& node, const Request& request) {
  return !node.removed && node.simulated == request.simulated &&
         node.group == request.group;
}

// Where it wants to be, read.
struct Wanted {
  const Spec& spec;
  const Request& request;
  Constraint constraint;
  LabelWishes labels;
  const Reservation* reservation = nullptr;  // null: it asks for none

  Wanted(const State& state, const Spec& asked, const Request& packed)
      : spec(asked), request(packed), labels(packed) {
    if (!spec.constraint.empty())
      constraint = *Constraint::parse(spec.constraint);
    if (!spec.reservation.empty())
      reservation = state.reservations().find(spec.reservation);
  }
  bool any() const {
    return !spec.constraint.empty() || labels.any() || reservation;
  }
};

// The nodes that serve it, as shapes: all alike, or by the place that all of
// them have to share.
struct Matching {
  std::map<std::string, std::vector<Shape>> shapes;
  std::uint64_t nodes = 0;  // of its queue
  std::uint64_t matching = 0;
};

// The node as it is for the session: with the devices that are kept for it.
Shape shape_for(const State& state, const Node& node, const Wanted& wanted) {
  Shape shape = state.shapes()[node.shape];
  shape.count = 1;
  if (!wanted.reservation || wanted.reservation->devices.empty()) return shape;
  shape.gpus.clear();
  for (std::uint32_t i = 0; i < node.devices.size(); ++i)
    if (wanted.reservation->covers_device(i))
      shape.gpus.push_back(
          {node.devices[i].model, 1, node.devices[i].memory_bytes});
  return shape;
}

// Stops at the first nodes that have room for it: most requests are possible.
std::optional<std::string> lacking(const State& state, const Wanted& wanted,
                                   Matching& found) {
  const Request& request = wanted.request;
  for (const Node& node : state.nodes()) {
    if (!of_its_queue(node, request)) continue;
    ++found.nodes;
    if (!request.on_node.empty() && node.name != request.on_node) continue;
    if (wanted.reservation && !wanted.reservation->covers(node.name)) continue;
    if (!wanted.constraint.matches(facts_of(node))) continue;
    const std::string* place = wanted.labels.place_of(node.name, node.labels);
    if (!place) continue;
    ++found.matching;
    auto& shapes = found.shapes[*place];
    shapes.push_back(shape_for(state, node, wanted));
    const bool look = (shapes.size() & (shapes.size() - 1)) == 0;
    if (look && !impossible(shapes, request)) return std::nullopt;
  }
  std::optional<std::string> why;
  for (const auto& [place, shapes] : found.shapes) {
    auto lacks = impossible(shapes, request);
    if (!lacks) return std::nullopt;
    if (!why) why = std::move(lacks);
  }
  return why ? why : std::string();
}

// "are in reservation r (GPU 0, 1 of each) and satisfy rack=r1".
std::string asked_text(const Wanted& wanted) {
  const Spec& spec = wanted.spec;
  std::vector<std::string> kept;
  if (const Reservation* reservation = wanted.reservation)
    kept.push_back(
        fmt::format("are in reservation {}{}", reservation->name,
                    reservation->devices.empty()
                        ? std::string()
                        : fmt::format(" (GPU {} of each)",
                                      fmt::join(reservation->devices, ", "))));
  std::vector<std::string> places;
  if (!spec.constraint.empty()) places.emplace_back(spec.constraint);
  if (!spec.within.empty())
    places.push_back(
        fmt::format("label {} of one value for all nodes", spec.within));
  for (const auto& [word, text] :
       {std::pair("together", spec.together), std::pair("apart", spec.apart)}) {
    if (text.empty()) continue;
    const std::string_view label = parse_company(text)->label;
    if (!label.empty())
      places.push_back(fmt::format("label {} of {} {}", label, word, text));
  }
  if (!places.empty())
    kept.push_back(fmt::format("satisfy {}", fmt::join(places, " and ")));
  return fmt::format("{}", fmt::join(kept, " and "));
}

// The numbers are those of the nodes that serve it, and of all in its queue.
Check check_nodes(const State& state, const Wanted& wanted) {
  const std::string& name = wanted.request.on_node;
  if (wanted.reservation && !name.empty() && !wanted.reservation->covers(name))
    return reject(RejectCode::impossible, "reservation_outside",
                  fmt::format("node {} is not in reservation {}; nodes in "
                              "it: {}",
                              name, wanted.reservation->name,
                              wanted.reservation->nodes.size()),
                  0, wanted.reservation->nodes.size());
  Matching found;
  const auto why = lacking(state, wanted, found);
  if (!why) return std::nullopt;
  const std::string asked = asked_text(wanted);
  // A gang that is to be together on one node.
  if (asked.empty())
    return reject(
        RejectCode::impossible, "never_fits",
        fmt::format("on one node, for it is to be together: it {}", *why),
        found.matching, found.nodes);
  const std::string count =
      fmt::format("{} of {} nodes of group {} {}", found.matching, found.nodes,
                  wanted.request.group, asked);
  if (found.matching == 0)
    return reject(
        RejectCode::impossible,
        wanted.reservation ? "reservation_outside" : "constraint_never", count,
        0, found.nodes);
  return reject(RejectCode::impossible, "never_fits",
                fmt::format("{}; among them, it {}", count, *why),
                found.matching, found.nodes);
}

}  // namespace

Check check_place(const State& state, const Spec& spec,
                  const schema::SessionSpec& packed) {
  if (auto no = check_words(spec)) return no;
  const Request request = request_of(packed);
  std::vector<Shape> shapes;
  const std::vector<Shape>* asked = &state.shapes();
  if (!request.on_node.empty()) {
    Shape shape = state.shapes()[state.node(request.on_node)->shape];
    shape.count = 1;
    shapes.push_back(std::move(shape));
    asked = &shapes;
  }
  if (auto why = impossible(*asked, request))
    return reject(RejectCode::impossible, "never_fits", std::move(*why));
  const Wanted wanted(state, spec, request);
  return wanted.any() ? check_nodes(state, wanted) : std::nullopt;
}

}  // namespace reeve::cluster
