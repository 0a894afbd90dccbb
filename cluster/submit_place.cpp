// Whether a session could ever run: by what the nodes have, and by where it
// wants to be.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cluster/decide.hpp"
#include "cluster/node_spec.hpp"
#include "cluster/rejecting.hpp"
#include "cluster/scheduling/capacity.hpp"

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

// What it asks of the labels of its nodes, beside the constraint.
struct Where {
  // All of them share one value of it; empty: they are one node.
  std::optional<std::string_view> one;
  // They have it: what a place is for its company.
  std::vector<std::string_view> labels;
};

Where where_of(const Spec& spec) {
  Where where;
  if (!spec.within.empty()) where.one = spec.within;
  for (const auto text : {spec.together, spec.apart}) {
    if (text.empty()) continue;
    const auto label = parse_company(text)->label;
    if (!label.empty()) where.labels.push_back(label);
    if (text == spec.together && spec.tasks > 1 && !where.one)
      where.one = label;
  }
  return where;
}

std::string to_text(const Spec& spec, const Where& where) {
  std::vector<std::string> asked;
  if (!spec.constraint.empty()) asked.emplace_back(spec.constraint);
  for (const auto label : where.labels)
    asked.push_back(fmt::format("label {}", label));
  if (where.one && where.one->empty())
    asked.emplace_back("one node for all tasks");
  else if (where.one)
    asked.push_back(
        fmt::format("label {} of one value for all nodes", *where.one));
  return fmt::format("{}", fmt::join(asked, " and "));
}

bool has_labels(const Node& node, const Where& where) {
  return std::all_of(where.labels.begin(), where.labels.end(),
                     [&](std::string_view label) {
                       return find_label(node.labels, label) != nullptr;
                     });
}

// The nodes that serve it, as shapes: all alike, or by the value of the label
// that all of them have to share.
struct Matching {
  std::map<std::string, std::vector<Shape>> shapes;
  std::uint64_t nodes = 0;  // of its queue
  std::uint64_t matching = 0;
};

// Stops at the first nodes that have room for it: most requests are possible.
std::optional<std::string> lacking(const State& state, const Request& request,
                                   const Constraint& constraint,
                                   const Where& where, Matching& found) {
  for (const Node& node : state.nodes()) {
    if (!of_its_queue(node, request)) continue;
    ++found.nodes;
    if (!request.on_node.empty() && node.name != request.on_node) continue;
    if (!constraint.matches(facts_of(node))) continue;
    if (!has_labels(node, where)) continue;
    std::string place;
    if (where.one) {
      const std::string* value =
          where.one->empty() ? &node.name : find_label(node.labels, *where.one);
      if (!value) continue;
      place = *value;
    }
    ++found.matching;
    auto& shapes = found.shapes[place];
    shapes.push_back(state.shapes()[node.shape]);
    shapes.back().count = 1;
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

Check check_labels(const State& state, const Spec& spec,
                   const Request& request) {
  const Where where = where_of(spec);
  if (spec.constraint.empty() && !where.one && where.labels.empty())
    return std::nullopt;
  Constraint constraint;
  if (!spec.constraint.empty())
    constraint = *Constraint::parse(spec.constraint);
  Matching found;
  const auto why = lacking(state, request, constraint, where, found);
  if (!why) return std::nullopt;
  const std::string count =
      fmt::format("{} of {} nodes of group {} satisfy {}", found.matching,
                  found.nodes, request.group, to_text(spec, where));
  if (found.matching == 0)
    return reject(RejectCode::impossible, "constraint_never", count, 0,
                  found.nodes);
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
  return check_labels(state, spec, request);
}

}  // namespace reeve::cluster
