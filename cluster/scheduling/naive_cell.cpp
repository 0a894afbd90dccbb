#include "cluster/scheduling/naive_cell.hpp"

#include <algorithm>
#include <set>

namespace reeve::cluster {

namespace {

std::string value_of(const TestNode& node, const std::string& label) {
  if (label == "node") return "n" + std::to_string(node.number);
  for (const auto& [key, value] : node.labels)
    if (key == label) return value;
  return "";
}

// Of a word such as "db" or "db@rack": the node, or its value of the label.
std::string place_of(const TestNode& node, const std::string& word) {
  const auto at = word.find('@');
  return value_of(node, at == word.npos ? "node" : word.substr(at + 1));
}

// The place that all tasks of a gang have in common; empty: they need not.
std::string common_place(const TestNode& node, const TestSession& spec) {
  if (!spec.within.empty()) return value_of(node, spec.within);
  const bool gang = spec.tasks > 1 && !spec.together.empty();
  return gang ? place_of(node, spec.together) : "";
}

// Terms `label=value` and `label!=value`, joined by "&&", are all there is.
bool satisfies(const TestNode& node, std::string text) {
  while (!text.empty()) {
    const auto end = std::min(text.find("&&"), text.size());
    const auto term = text.substr(0, end);
    text.erase(0, std::min(end + 2, text.size()));
    const auto equals = term.find('=');
    const bool negated = term[equals - 1] == '!';
    const auto value = value_of(node, term.substr(0, equals - negated));
    if ((value == term.substr(equals + 1)) == negated) return false;
  }
  return true;
}

std::int64_t memory_taken(const NaiveCell::Node& node,
                          const TestSession& spec) {
  const auto whole = static_cast<std::int64_t>(node.spec.device_memory_bytes);
  if (spec.gpu_milli == 1000) return whole;
  if (spec.gpu_memory_bytes > 0) {
    return static_cast<std::int64_t>(spec.gpu_memory_bytes);
  }
  return whole / 1000 * spec.gpu_milli + whole % 1000 * spec.gpu_milli / 1000;
}

void hold_share(NaiveCell::Node::Device& device, const TestSession& spec) {
  if (spec.gpu_milli < 1000)
    device.sharers.emplace_back(spec.user, spec.project);
}

}  // namespace

bool NaiveCell::usable(const Node& node, const TestSession& spec) {
  return !node.away && node.spec.simulated == spec.simulated &&
         node.spec.group == spec.group &&
         (spec.on_node.empty() ||
          spec.on_node == "n" + std::to_string(node.spec.number)) &&
         satisfies(node.spec, spec.constraint) &&
         (spec.within.empty() || !value_of(node.spec, spec.within).empty());
}

bool NaiveCell::serves(const Node::Device& device, const Node& node,
                       const TestSession& spec) {
  if (device.quarantined) return false;
  const auto& models = spec.gpu_models;
  const bool instance = device.model.find(" mig ") != std::string::npos;
  if (models.empty() ? instance
                     : std::find(models.begin(), models.end(), device.model) ==
                           models.end()) {
    return false;
  }
  return may_share(device, node, spec) && device.milli >= spec.gpu_milli &&
         device.memory_bytes >= memory_taken(node, spec) &&
         node.spec.device_memory_bytes >= spec.gpu_memory_bytes;
}

bool NaiveCell::may_share(const Node::Device& device, const Node& node,
                          const TestSession& spec) {
  using schema::GpuSharing;
  if (spec.gpu_milli == 1000 || node.sharing == GpuSharing::anyone) return true;
  if (node.sharing == GpuSharing::none) return false;
  return std::all_of(
      device.sharers.begin(), device.sharers.end(), [&](const auto& one) {
        return node.sharing == GpuSharing::user ? one.first == spec.user
                                                : one.second == spec.project;
      });
}

bool NaiveCell::needs_slow(const Node& node, const TestSession& spec) {
  const auto others = std::count_if(
      node.devices.begin(), node.devices.end(), [&](const auto& device) {
        return !device.slow && serves(device, node, spec);
      });
  return others < spec.gpus;
}

void NaiveCell::shared_by(const std::string& group,
                          schema::GpuSharing setting) {
  sharing_[group] = setting;
  for (auto& [number, node] : nodes)
    if (node.spec.group == group) node.sharing = setting;
}

bool NaiveCell::put(Node& node, const TestSession& spec) {
  node.cpu_milli -= spec.cpu_milli;
  node.memory_bytes -= static_cast<std::int64_t>(spec.memory_bytes);
  if (node.cpu_milli < 0 || node.memory_bytes < 0) return false;
  std::stable_sort(
      node.devices.begin(), node.devices.end(),
      [](const auto& a, const auto& b) { return a.milli > b.milli; });
  std::uint32_t left = spec.gpus;
  for (auto& device : node.devices) {
    if (left == 0) break;
    if (!serves(device, node, spec)) continue;
    device.milli -= spec.gpu_milli;
    device.memory_bytes -= memory_taken(node, spec);
    hold_share(device, spec);
    --left;
  }
  return left == 0;
}

bool NaiveCell::allowed(const Node& node, const Session& session) const {
  const auto& spec = session.spec;
  // Places where others of the user hold something with the same word.
  const auto places = [&](std::string TestSession::*word) {
    std::set<std::string> found;
    for (const auto& [id, other] : sessions) {
      if (id == session.id || other.spec.user != spec.user) continue;
      if (other.spec.*word != spec.*word) continue;
      for (std::size_t i = 0; i < other.tasks.size(); ++i)
        if (!other.exited[i])
          found.insert(
              place_of(nodes.at(other.tasks[i].node.value).spec, spec.*word));
    }
    return found;
  };
  if (!usable(node, spec)) return false;
  if (!spec.together.empty()) {
    const auto place = place_of(node.spec, spec.together);
    const auto taken = places(&TestSession::together);
    if (place.empty() || (!taken.empty() && !taken.contains(place)))
      return false;
  }
  if (!spec.apart.empty()) {
    const auto place = place_of(node.spec, spec.apart);
    if (place.empty() || places(&TestSession::apart).contains(place))
      return false;
  }
  return true;
}

void NaiveCell::add(const TestNode& spec) {
  Node node{spec,
            false,
            spec.cpu_milli,
            static_cast<std::int64_t>(spec.memory_bytes),
            {}};
  for (const auto& model : spec.models) {
    node.devices.push_back({model, 1000,
                            static_cast<std::int64_t>(spec.device_memory_bytes),
                            false});
  }
  if (const auto known = sharing_.find(spec.group); known != sharing_.end())
    node.sharing = known->second;
  nodes[spec.number] = node;
}

void NaiveCell::submit(std::uint64_t id, const TestSession& spec) {
  sessions[id].id = id;
  sessions[id].spec = spec;
}

std::string NaiveCell::take(const Proposal& proposal) {
  auto& session = sessions.at(proposal.session.value);
  const auto& spec = session.spec;
  if (session.standing != Standing::waiting) return "it does not wait";
  if (proposal.attempt != session.attempt) return "another attempt";
  if (proposal.tasks.size() != spec.tasks) return "another number of tasks";
  std::map<std::uint32_t, std::uint32_t> per_node;
  for (const auto& task : proposal.tasks) {
    auto& node = nodes.at(task.node.value);
    ++per_node[task.node.value];
    if (!allowed(node, session)) return "a node it may not use";
    node.cpu_milli -= spec.cpu_milli;
    node.memory_bytes -= static_cast<std::int64_t>(spec.memory_bytes);
    if (node.cpu_milli < 0 || node.memory_bytes < 0) return "over-committed";
    if (task.devices.size() != spec.gpus) return "another number of devices";
    std::set<std::uint32_t> distinct;
    for (const auto& grant : task.devices) {
      auto& device = node.devices.at(grant.device);
      if (!serves(device, node, spec)) return "a device that does not serve";
      if (grant.milli != spec.gpu_milli) return "another share";
      const auto memory = static_cast<std::int64_t>(grant.memory_bytes);
      if (memory != memory_taken(node, spec)) return "other device memory";
      device.milli -= grant.milli;
      device.memory_bytes -= memory;
      hold_share(device, spec);
      distinct.insert(grant.device);
    }
    if (distinct.size() != spec.gpus) return "a device twice in one task";
  }
  std::set<std::string> places;
  for (const auto& [node, count] : per_node)
    places.insert(common_place(nodes.at(node).spec, spec));
  if (places.size() != 1) return "not in one place";
  if (spec.nodes > 0) {
    if (per_node.size() != spec.nodes) return "another number of nodes";
    for (const auto& [node, count] : per_node) {
      const auto least = spec.tasks / spec.nodes;
      if (count < least || count > least + 1) return "spread unevenly";
    }
  }
  session.standing = Standing::proposed;
  session.tasks = proposal.tasks;
  session.exited.assign(proposal.tasks.size(), false);
  return "";
}

void NaiveCell::free_task(Session& session, std::size_t rank) {
  if (session.exited[rank]) return;
  session.exited[rank] = true;
  const auto& task = session.tasks[rank];
  auto& node = nodes.at(task.node.value);
  node.cpu_milli += session.spec.cpu_milli;
  node.memory_bytes += static_cast<std::int64_t>(session.spec.memory_bytes);
  for (const auto& grant : task.devices) {
    auto& device = node.devices[grant.device];
    device.milli += grant.milli;
    device.memory_bytes += static_cast<std::int64_t>(grant.memory_bytes);
    if (grant.milli == 1000) continue;
    const auto& spec = session.spec;
    device.sharers.erase(std::find(device.sharers.begin(), device.sharers.end(),
                                   std::pair(spec.user, spec.project)));
  }
}

void NaiveCell::free_all(Session& session) {
  for (std::size_t i = 0; i < session.tasks.size(); ++i) free_task(session, i);
  session.tasks.clear();
  session.exited.clear();
}

std::uint32_t NaiveCell::room(const Node& node, const TestSession& spec) const {
  Node scratch = node;
  std::uint32_t count = 0;
  while (count < spec.tasks && put(scratch, spec)) ++count;
  return count;
}

bool NaiveCell::fits(const Session& session) const {
  const auto& spec = session.spec;
  std::map<std::string, std::vector<const Node*>> places;
  for (const auto& [number, node] : nodes)
    if (allowed(node, session))
      places[common_place(node.spec, spec)].push_back(&node);
  return std::any_of(places.begin(), places.end(), [&](const auto& place) {
    return fits_on(place.second, spec);
  });
}

bool NaiveCell::fits_on(const std::vector<const Node*>& on,
                        const TestSession& spec) const {
  std::vector<std::uint32_t> rooms;
  for (const auto* node : on) rooms.push_back(room(*node, spec));
  std::sort(rooms.rbegin(), rooms.rend());
  if (spec.nodes == 0) {
    std::uint32_t total = 0;
    for (const auto count : rooms) total += count;
    return total >= spec.tasks;
  }
  if (rooms.size() < spec.nodes) return false;
  for (std::uint32_t i = 0; i < spec.nodes; ++i) {
    const auto more = i < spec.tasks % spec.nodes ? 1 : 0;
    if (rooms[i] < spec.tasks / spec.nodes + more) return false;
  }
  return true;
}

std::vector<std::uint64_t> NaiveCell::queue(const TestSession& like) const {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, session] : sessions) {
    if (session.standing == Standing::waiting &&
        session.spec.group == like.group &&
        session.spec.simulated == like.simulated) {
      ids.push_back(id);
    }
  }
  std::stable_sort(ids.begin(), ids.end(), [this](auto a, auto b) {
    return sessions.at(a).spec.priority > sessions.at(b).spec.priority;
  });
  return ids;
}

std::optional<std::uint64_t> NaiveCell::first_fitting(
    const TestSession& like) const {
  for (const auto id : queue(like)) {
    if (fits(sessions.at(id))) return id;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> NaiveCell::head(const TestSession& like) const {
  const auto ids = queue(like);
  if (ids.empty()) return std::nullopt;
  return ids.front();
}

}  // namespace reeve::cluster
