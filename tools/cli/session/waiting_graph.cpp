#include "tools/cli/session/waiting_graph.hpp"

#include <fmt/format.h>

#include <set>

#include "cluster/printable.hpp"
#include "cluster/session_id.hpp"

namespace reeve::tools {
namespace {

using std::string;

// Below it a tree says nothing that a screen can hold.
constexpr std::size_t depth_max = 64;

}  // namespace

// One that was drawn before is named again, without what hangs on it.
struct WaitingGraph::Walk {
  Toward toward;
  std::set<std::uint64_t> seen;
};

void WaitingGraph::add(std::uint64_t id, Session session) {
  for (const auto& one : session.after)
    waiting_[one.session()].push_back({id, one.kind()});
  sessions_[id] = std::move(session);
}

std::vector<WaitingGraph::Edge> WaitingGraph::edges(std::uint64_t id,
                                                    Toward toward) const {
  if (toward == Toward::waiting) {
    const auto found = waiting_.find(id);
    return found == waiting_.end() ? std::vector<Edge>() : found->second;
  }
  std::vector<Edge> out;
  const auto found = sessions_.find(id);
  if (found != sessions_.end())
    for (const auto& one : found->second.after)
      out.push_back({one.session(), one.kind()});
  return out;
}

string WaitingGraph::line(std::uint64_t id) const {
  string out = to_text(SessionId{id});
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return out;
  if (!found->second.name.empty()) out += " " + printable(found->second.name);
  return out + fmt::format(" ({})", EnumNameSessionState(found->second.state));
}

void WaitingGraph::branch(string& out, const string& indent, std::uint64_t id,
                          Walk& walk) const {
  const auto next = edges(id, walk.toward);
  for (std::size_t i = 0; i < next.size(); ++i) {
    const bool last = i + 1 == next.size();
    const bool again = !walk.seen.insert(next[i].session).second;
    const bool more = again && !edges(next[i].session, walk.toward).empty();
    out += fmt::format("{}{} {}: {}{}\n", indent, last ? "`-" : "|-",
                       EnumNameDependencyKind(next[i].kind),
                       line(next[i].session), more ? " ..." : "");
    if (!again && indent.size() / 3 < depth_max)
      branch(out, indent + (last ? "   " : "|  "), next[i].session, walk);
  }
}

string WaitingGraph::tree(std::uint64_t id) const {
  string out;
  if (id != 0) {
    out = line(id) + '\n';
    Walk causes{Toward::causes, {id}};
    Walk waiting{Toward::waiting, {id}};
    string above;
    branch(above, "  ", id, causes);
    string below;
    branch(below, "  ", id, waiting);
    out += above.empty() ? "waits for no session\n"
                         : "waits for the end of\n" + above;
    out += below.empty() ? "nothing waits for it\n"
                         : "its end is waited for by\n" + below;
    return out;
  }
  Walk walk{Toward::waiting, {}};
  for (const auto& [root, edges_of] : waiting_) {
    const auto found = sessions_.find(root);
    if (found != sessions_.end() && !found->second.after.empty()) continue;
    out += line(root) + '\n';
    branch(out, "", root, walk);
  }
  return out;
}

string WaitingGraph::dot(std::uint64_t id) const {
  std::set<std::uint64_t> wanted;
  const auto reach = [&](std::uint64_t from, Toward toward) {
    std::vector<std::uint64_t> open{from};
    while (!open.empty()) {
      const std::uint64_t at = open.back();
      open.pop_back();
      for (const Edge& edge : edges(at, toward))
        if (wanted.insert(edge.session).second) open.push_back(edge.session);
    }
  };
  if (id != 0) {
    reach(id, Toward::causes);
    reach(id, Toward::waiting);
    wanted.insert(id);
  } else {
    for (const auto& [root, list] : waiting_) {
      wanted.insert(root);
      for (const Edge& edge : list) wanted.insert(edge.session);
    }
  }
  string out = "digraph sessions {\n  rankdir=LR;\n";
  for (const std::uint64_t one : wanted) {
    string label;
    for (const char c : line(one)) {
      if (c == '"' || c == '\\') label += '\\';
      label += c;
    }
    out += fmt::format("  \"s-{}\" [label=\"{}\"];\n", one, label);
  }
  for (const std::uint64_t one : wanted)
    for (const Edge& edge : edges(one, Toward::waiting))
      if (wanted.contains(edge.session))
        out += fmt::format("  \"s-{}\" -> \"s-{}\" [label=\"{}\"];\n", one,
                           edge.session, EnumNameDependencyKind(edge.kind));
  return out + "}\n";
}

}  // namespace reeve::tools
