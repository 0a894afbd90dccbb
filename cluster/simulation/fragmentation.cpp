#include "cluster/simulation/fragmentation.hpp"

#include <algorithm>

#include "cluster/check.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster::simulation {

using schema::EventBody;

FragmentationMeter::FragmentationMeter(const Workload& work)
    : from_(work.from),
      step_ns_((work.to.value - work.from.value) / fragmentation_samples) {
  std::vector<std::uint64_t> count(work.requests.all().size());
  for (const auto& session : work.sessions) ++count[session.request];
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < count.size(); ++i)
    if (work.requests[i].gpus > 0 && count[i] > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return count[a] > count[b]; });
  if (order.size() > typical_requests_max) order.resize(typical_requests_max);
  double sum = 0;
  for (const auto i : order) sum += static_cast<double>(count[i]);
  for (const auto i : order)
    typical_.push_back(
        {need_of(work.requests[i]), static_cast<double>(count[i]) / sum});
}

scheduling::ModelId FragmentationMeter::model(const std::string& name) {
  const auto next = static_cast<scheduling::ModelId>(models_.size());
  return models_.try_emplace(lower_case(name.c_str()), next).first->second;
}

scheduling::Need FragmentationMeter::need_of(const Request& request) {
  scheduling::Need need{
      request.cpu_milli, request.memory_bytes,     request.gpus,
      request.gpu_milli, request.gpu_memory_bytes, {}};
  for (const auto& name : request.gpu_models)
    need.models.push_back(model(name));
  return need;
}

// -- what is held -------------------------------------------------------------

void FragmentationMeter::apply(const schema::Event& event) {
  take_samples(Time{event.time_at()});
  const auto change = [&](std::uint32_t number, bool scheduling::Node::*flag,
                          bool value) {
    if (auto* one = node(number)) one->*flag = value;
  };
  const auto quarantine = [&](const auto& body, bool on) {
    auto* one = node(body.node());
    if (one) scheduling::set_quarantine(*one, body.uuid()->str(), on);
  };
  switch (event.body_type()) {
    case EventBody::NodeRegistered:
      return registered(*event.body_as_NodeRegistered());
    case EventBody::NodeLost:
      return change(event.body_as_NodeLost()->node(), &scheduling::Node::lost,
                    true);
    case EventBody::NodeReturned:
      return change(event.body_as_NodeReturned()->node(),
                    &scheduling::Node::lost, false);
    case EventBody::NodeDrained:
      return change(event.body_as_NodeDrained()->node(),
                    &scheduling::Node::drained, true);
    case EventBody::NodeResumed:
      return change(event.body_as_NodeResumed()->node(),
                    &scheduling::Node::drained, false);
    case EventBody::NodeRemoved:
      return change(event.body_as_NodeRemoved()->node(),
                    &scheduling::Node::removed, true);
    case EventBody::DeviceQuarantined:
      return quarantine(*event.body_as_DeviceQuarantined(), true);
    case EventBody::DeviceReleased:
      return quarantine(*event.body_as_DeviceReleased(), false);
    case EventBody::SessionSubmitted: {
      const auto& body = *event.body_as_SessionSubmitted();
      sessions_[body.session()].need = need_of(request_of(*body.spec()));
      return;
    }
    case EventBody::SessionPlaced:
      return placed(*event.body_as_SessionPlaced());
    case EventBody::TaskExited: {
      const auto& body = *event.body_as_TaskExited();
      const auto found = sessions_.find(body.session());
      if (found != sessions_.end()) free_task(found->second, body.rank());
      return;
    }
    case EventBody::SessionRequeued:
      return free_all(event.body_as_SessionRequeued()->session());
    case EventBody::SessionEnded:
      free_all(event.body_as_SessionEnded()->session());
      sessions_.erase(event.body_as_SessionEnded()->session());
      return;
    default: return;
  }
}

scheduling::Node* FragmentationMeter::node(std::uint32_t number) {
  if (number >= nodes_.size() || !nodes_[number].known) return nullptr;
  return &nodes_[number];
}

void FragmentationMeter::registered(const schema::NodeRegistered& body) {
  REEVE_CHECK(body.node() < (1u << 20), "a node's number is out of bounds");
  if (body.node() >= nodes_.size()) nodes_.resize(body.node() + 1);
  scheduling::Node& node = nodes_[body.node()];
  const schema::NodeSpec& spec = *body.spec();
  node.known = true;
  node.cpu_capacity_milli = spec.cpu_milli();
  node.memory_capacity_bytes = spec.memory_bytes();
  scheduling::list_devices(node, spec);
  for (std::size_t i = 0; i < node.device_names.size(); ++i)
    node.devices[i].model =
        model(spec.devices()->Get(static_cast<unsigned>(i))->model()->str());
}

void FragmentationMeter::placed(const schema::SessionPlaced& body) {
  const auto found = sessions_.find(body.session());
  if (found == sessions_.end()) return;
  Holding& holding = found->second.holding;
  holding = {};
  for (const auto* told : *body.tasks()) {
    TaskProposal task;
    task.node = NodeId{told->node()};
    if (told->devices())
      for (const auto* share : *told->devices())
        task.devices.push_back(
            {share->device(), share->milli(), share->memory_bytes()});
    auto* held = node(task.node.value);
    if (held != nullptr)
      scheduling::claim(*held, found->second.need, task.devices);
    holding.freed.push_back(held == nullptr);
    holding.tasks.push_back(std::move(task));
  }
}

void FragmentationMeter::free_task(Session& session, std::size_t rank) {
  Holding& holding = session.holding;
  if (rank >= holding.freed.size() || holding.freed[rank]) return;
  holding.freed[rank] = true;
  const TaskProposal& task = holding.tasks[rank];
  scheduling::release(nodes_[task.node.value], session.need, task.devices);
}

void FragmentationMeter::free_all(std::uint64_t session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  for (std::size_t i = 0; i < found->second.holding.freed.size(); ++i)
    free_task(found->second, i);
  found->second.holding = {};
}

// -- samples ------------------------------------------------------------------

// In the middle of each step, of what was so until then.
void FragmentationMeter::take_samples(Time until) {
  while (taken_ < fragmentation_samples && step_ns_ > 0) {
    const std::uint64_t at = from_.value + taken_ * step_ns_ + step_ns_ / 2;
    if (at >= until.value) return;
    const auto now = sample();
    sum_.idle += now.idle;
    sum_.unusable += now.unusable;
    ++taken_;
  }
}

void FragmentationMeter::finish() {
  take_samples(Time{UINT64_MAX});
}

FragmentationMeter::Sample FragmentationMeter::sample() const {
  Sample sum;
  scheduling::Room room;
  for (const auto& one : nodes_) {
    if (!one.offered()) continue;
    look(one, room);
    sum.idle += static_cast<double>(room.idle_milli);
    for (const auto& typical : typical_)
      sum.unusable += typical.frequency *
                      static_cast<double>(room.idle_milli -
                                          usable_milli(room, typical.need));
  }
  return sum;
}

double FragmentationMeter::share() const {
  return sum_.idle > 0 && !typical_.empty() ? sum_.unusable / sum_.idle : -1;
}

double FragmentationMeter::present() const {
  const auto sum = sample();
  return sum.idle > 0 && !typical_.empty() ? sum.unusable / sum.idle : -1;
}

}  // namespace reeve::cluster::simulation
