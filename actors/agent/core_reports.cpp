// What the manager must hear: facts, registrations, heartbeats.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/agent/core_command.hpp"
#include "cluster/check.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;

std::vector<std::byte> bytes_of(schema::Bytes bytes) {
  return {bytes.begin(), bytes.end()};
}

flatbuffers::Offset<flatbuffers::String> optional_text(
    Builder& builder, const std::string& text) {
  return text.empty() ? 0 : builder.CreateString(text);
}

flatbuffers::Offset<schema::NodeSpec> build_node(
    Builder& builder, const Node& node,
    const std::vector<std::string>& runtime_limits) {
  std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
  for (const NodeDevice& device : node.devices) {
    const auto uuid = builder.CreateString(device.uuid);
    const auto model = builder.CreateString(device.model);
    const auto links =
        device.links.empty() ? 0 : builder.CreateVector(device.links);
    const auto mig_of = optional_text(builder, device.mig_of);
    devices.push_back(
        schema::CreateDeviceSpec(builder, uuid, model, device.memory_bytes,
                                 device.numa_node, links, mig_of));
  }
  const auto name = builder.CreateString(node.name);
  const auto group = optional_text(builder, node.group);
  const auto list = devices.empty() ? 0 : builder.CreateVector(devices);
  auto all_limits = node.limits;
  all_limits.insert(all_limits.end(), runtime_limits.begin(),
                    runtime_limits.end());
  const auto limits =
      all_limits.empty() ? 0 : builder.CreateVectorOfStrings(all_limits);
  std::vector<flatbuffers::Offset<schema::KeyValue>> labels;
  for (const auto& [key, value] : node.labels)
    labels.push_back(
        schema::CreateKeyValueDirect(builder, key.c_str(), value.c_str()));
  const auto label_list = labels.empty() ? 0 : builder.CreateVector(labels);
  return schema::CreateNodeSpec(builder, name, group, node.cpu_milli,
                                node.memory_bytes, list, false, limits,
                                label_list);
}

}  // namespace

schema::Id128 Core::next_command_id() {
  ++commands_;
  return {options_.run, options_.seed + commands_};
}

void Core::send(PendingCommand& command, Time now) {
  command.wait(now, jitter_);
  effects_.commands.push_back({command.id, command.kind, command.bytes});
}

// ---- facts

void Core::queue_start(const TaskKey& key, Task& task) {
  if (task.start_waiting) return;
  task.start_waiting = true;
  facts_.push_back({key, false});
  ++facts_queued_;
}

void Core::queue_end(const TaskKey& key, Task& task) {
  if (task.end_waiting) return;
  task.end_waiting = true;
  facts_.push_back({key, true});
  ++facts_queued_;
}

void Core::build_report(Time now) {
  if (report_.waiting || facts_.empty()) return;
  Builder builder(16 << 10);
  std::vector<flatbuffers::Offset<schema::Fact>> list;
  while (!facts_.empty() && list.size() < facts_per_report_max &&
         builder.GetSize() < report_bytes_max) {
    const QueuedFact queued = facts_.front();
    facts_.pop_front();
    const Task& task = *find(queued.key);
    Fact fact;
    if (queued.is_end) {
      fact = task.end;
    } else {
      fact.facts.mutate_started_at(task.started_at);
      fact.detail = task.note;
    }
    const auto detail = optional_text(builder, fact.detail);
    const bool timed =
        fact.facts.started_at() != 0 || fact.facts.ended_at() != 0;
    list.push_back(schema::CreateFact(builder, fact.kind, queued.key.session,
                                      queued.key.attempt, queued.key.rank,
                                      task.pid, fact.reason,
                                      timed ? &fact.facts : nullptr, detail));
    in_report_.push_back(queued);
  }
  counters_.facts += list.size();
  ++counters_.reports;
  const auto facts = builder.CreateVector(list);
  const auto agent = builder.CreateString(options_.agent);
  const auto body = schema::CreateReportFacts(builder, agent, facts);
  report_ = {};
  make(report_, "report_facts", builder, body);
  send(report_, now);
}

void Core::on_report_accepted() {
  report_ = {};
  const auto accepted = std::exchange(in_report_, {});
  facts_accepted_ += accepted.size();
  for (const QueuedFact& fact : accepted) accept(fact);
}

void Core::accept(const QueuedFact& fact) {
  Task* task = find(fact.key);
  REEVE_CHECK(task != nullptr,
              fmt::format("task {} was forgotten before its fact was accepted",
                          keeper::to_string(fact.key)));
  if (!fact.is_end) {
    task->start_waiting = false;
    return;
  }
  REEVE_CHECK(!task->start_waiting,
              fmt::format("the start of {} is queued behind its end",
                          keeper::to_string(fact.key)));
  if (task->in_runtime) effects_.forgets.push_back(fact.key);
  tasks_.erase(fact.key);
  add_tombstone(fact.key);
}

// ---- answers

void Core::on_reply(const schema::Reply& reply, Time now) {
  now = clock_.at(now);
  const auto* id = reply.command_id();
  if (!id) return;
  silence_.on_heard(now);
  if (report_.is(*id)) {
    if (rejected(report_, reply, now)) return register_as_stranger(reply, now);
    on_report_accepted();
    advance_registration(now);
  } else if (registering_.is(*id)) {
    if (rejected(registering_, reply, now)) return;
    on_registration_accepted(now);
  } else if (!on_quarantine_reply(reply, now)) {
    on_test_reply(reply, now);
  }
}

// A manager that does not understand this program takes no facts, and they come
// first: it would not hear which program this is.
void Core::register_as_stranger(const schema::Reply& reply, Time now) {
  if (schema::text(reply.rejection()->rule()) != cluster::protocol_rule) return;
  if (ready_ && registration_ == Registration::facts_first &&
      !registering_.waiting)
    send_registration(false, now);
}

// A rejected command is tried again, seldom: what it says stays true.
bool Core::rejected(PendingCommand& command, const schema::Reply& reply,
                    Time now) {
  if (!reply.rejection()) return false;
  ++counters_.rejections;
  const std::string_view why = schema::text(reply.rejection()->text());
  if (command.refusal != why)
    effects_.messages.push_back(
        fmt::format("the manager refuses {} of agent {}: {}", command.kind,
                    options_.agent, why));
  command.refusal = why;
  command.step_ns = retry_longest_ns;
  command.wait(now, jitter_);
  return true;
}

void Core::send_again(PendingCommand& command, Time now) {
  ++counters_.resends;
  send(command, now);
}

// ---- registration

void Core::begin_registration() {
  registration_ = Registration::facts_first;
  facts_before_ = facts_queued_;
  registering_ = {};
  surplus_.clear();
}

// Without the devices that tasks hold the manager would refuse the node.
bool Core::must_await_gpus() {
  if (!options_.node.gpus_awaited || !gpus_.any()) return false;
  if (!std::exchange(told_of_gpus_, true))
    effects_.messages.push_back(
        "tasks hold GPUs of this host, and the driver does not answer: the "
        "node is registered when it does, or when they have ended");
  return true;
}

void Core::advance_registration(Time now) {
  if (!ready_ || must_await_gpus()) return;
  if (registration_ == Registration::facts_first &&
      facts_accepted_ >= facts_before_) {
    registration_ = Registration::asked;
    ++registration_number_;
    send_registration(false, now);
  }
  if (registration_ == Registration::clearing && surplus_.empty()) {
    registration_ = Registration::confirming;
    send_registration(true, now);
  }
}

void Core::send_registration(bool reconciled, Time now) {
  Builder builder(1024);
  std::vector<flatbuffers::Offset<schema::NodeSpec>> nodes;
  if (!options_.simulated)
    nodes.push_back(build_node(builder, options_.node, runtime_limits_));
  const auto list = builder.CreateVector(nodes);
  const auto agent = builder.CreateString(options_.agent);
  const schema::Id128 run = boot();
  const auto version = optional_text(builder, options_.program.version);
  const bool can_test = options_.gpu_jobs && !options_.node.gpu_probe.empty();
  const auto body = schema::CreateRegisterNodes(
      builder, agent, &run, list, reconciled, newest_.epoch.value,
      newest_.session.value, can_test && options_.test_new,
      can_test && options_.test_quarantined, version, list_seq_.value,
      host_ns_);
  registering_ = {};
  make(registering_, "register_nodes", builder, body);
  send(registering_, now);
}

void Core::on_registration_accepted(Time now) {
  registering_ = {};
  // It is understood now: the facts still come first.
  if (registration_ == Registration::facts_first) return;
  if (registration_ == Registration::asked) {
    registration_ = Registration::listing;
    list_due_ = Time{now.value + list_ns_max};
  }
  if (registration_ == Registration::confirming) registration_complete(now);
}

void Core::registration_complete(Time now) {
  registration_ = Registration::idle;
  registered_ = true;
  ++counters_.registrations;
  next_registration_ = Time{now.value + jitter_.spread(registration_ns)};
}

void Core::on_list(const schema::ReconcileOrder& order, Time now) {
  one_manager_ = !order.managers() || order.managers()->size() == 0;
  if (order.managers() && order.managers()->size() > 0) {
    effects_.managers.clear();
    for (const auto* host : *order.managers())
      if (effects_.managers.size() < managers_told_max)
        effects_.managers.push_back(host->str());
  }
  const auto* answers = order.boot();
  const schema::Id128 mine = boot();
  // One that comes later than it was waited for was made because a node was
  // lost since: what was given up with it ends all the same.
  const bool awaited = registration_ == Registration::asked ||
                       registration_ == Registration::listing;
  const bool again =
      !options_.simulated && registration_ != Registration::facts_first;
  const bool current = answers && answers->high() == mine.high() &&
                       answers->low() == mine.low() && (awaited || again) &&
                       order_seq_ >= list_seq_;
  if (!current) {
    ++counters_.lists_stale;
    return;
  }
  list_seq_ = std::max(list_seq_, order_seq_);
  if (options_.simulated) return check_launches(order, now);
  find_surplus(order);
  counters_.surplus_stopped += surplus_.size();
  for (const TaskKey& key : std::vector(surplus_.begin(), surplus_.end()))
    ask_to_end(key, surplus_grace_ms);
  registering_ = {};
  registration_ = Registration::clearing;
  advance_registration(now);
}

void Core::find_surplus(const schema::ReconcileOrder& order) {
  std::unordered_set<TaskKey, TaskKeyHash> listed;
  for (const auto* ref : *order.tasks()) {
    const TaskKey key{ref->session(), ref->attempt(), ref->rank()};
    listed.insert(key);
    if (!find(key)) bury(key, "it is not on this node");
  }
  if (order.unstarted())
    for (const auto* ref : *order.unstarted())
      listed.insert({ref->session(), ref->attempt(), ref->rank()});
  for (const auto& [key, task] : tasks_)
    if (task.phase != Phase::ended && task.ordered_at <= order_seq_ &&
        !listed.contains(key))
      surplus_.insert(key);
}

// The tasks that a simulated agent had before it crashed come again with the
// list, once. Without all of them it asks again when the list is due.
void Core::check_launches(const schema::ReconcileOrder& order, Time now) {
  for (const auto* ref : *order.tasks()) {
    const TaskKey key{ref->session(), ref->attempt(), ref->rank()};
    if (find(key) || tombstones_.contains(key)) continue;
    registration_ = Registration::listing;
    list_due_ = Time{now.value + list_ns_max};
    registering_ = {};
    return;
  }
  registering_ = {};
  registration_complete(now);
}

// ---- time

void Core::on_reconnected(Time now) {
  now = clock_.at(now);
  silence_.begin(now);
  if (report_.waiting) report_.due = now;
  if (ready_) begin_registration();
  tick(now);
}

void Core::on_tick(Time now) {
  tick(clock_.at(now));
}

void Core::tick(Time now) {
  const bool stalled = ready_ && last_tick_.value != 0 &&
                       now.value > last_tick_.value + stall_ns_max;
  last_tick_ = now;
  end_due(now);
  if (stalled && !options_.simulated) begin_registration();
  if (registration_ == Registration::listing && now >= list_due_)
    begin_registration();
  if (registration_ == Registration::idle && ready_ && !options_.simulated &&
      now >= next_registration_)
    begin_registration();
  if (report_.waiting && now >= report_.due) send_again(report_, now);
  if (registering_.waiting && now >= registering_.due)
    send_again(registering_, now);
  for (auto& [uuid, wanted] : quarantines_)
    if (wanted.command.waiting && now >= wanted.command.due)
      send_again(wanted.command, now);
  for (auto& [uuid, test] : tests_)
    if (test.report.waiting && now >= test.report.due)
      send_again(test.report, now);
  if (now >= next_heartbeat_) send_heartbeat(now);
  if (stalled || !awaits_word()) silence_.begin(now);
  if (const auto silent_ns = silence_.too_long(now))
    effects_.unheard_ns = silent_ns;
}

// An answer, or, while it has tasks, that its heartbeats are heard. The server
// of one manager alone has no other beside it.
bool Core::awaits_word() const {
  return ready_ && !options_.simulated && !one_manager_ &&
         (registration_ == Registration::listing || registering_.waiting ||
          report_.waiting || !tasks_.empty());
}

void Core::send_heartbeat(Time now) {
  next_heartbeat_ = Time{now.value + heartbeat_ns};
  if (!ready_) return;
  Builder builder(128);
  const auto agent = builder.CreateString(options_.agent);
  const schema::Id128 run = boot();
  const auto heartbeat = schema::CreateHeartbeat(
      builder, agent, &run, now.value,
      static_cast<std::uint32_t>(tasks_.size()), load_milli_,
      newest_.epoch.value, seen_seq_.value, host_ns_);
  effects_.heartbeat = bytes_of(schema::finish(builder, heartbeat));
}

std::uint64_t Core::wait_ns() const {
  Time due = next_heartbeat_;
  if (!simulated_.empty()) due = std::min(due, simulated_.front().due);
  if (report_.waiting) due = std::min(due, report_.due);
  if (registering_.waiting) due = std::min(due, registering_.due);
  for (const auto& [uuid, wanted] : quarantines_)
    if (wanted.command.waiting) due = std::min(due, wanted.command.due);
  for (const auto& [uuid, test] : tests_)
    if (test.report.waiting) due = std::min(due, test.report.due);
  if (const auto next = handover_.due()) due = std::min(due, *next);
  if (const auto next = jobs_.due()) due = std::min(due, *next);
  const Time now = clock_.now();
  return due > now ? due.value - now.value : 0;
}

Effects Core::take_effects(Time now) {
  now = clock_.at(now);
  take_node();
  advance_devices(now);
  advance_registration(now);
  // Before the facts: whoever failed for a device is not to be sent there
  // again.
  send_quarantines(now);
  build_report(now);
  send_tests(now);
  return std::exchange(effects_, {});
}

void Core::check_invariants() const {
  std::size_t waiting = 0;
  for (const auto& [key, task] : tasks_) {
    waiting += (task.start_waiting ? 1 : 0) + (task.end_waiting ? 1 : 0);
    REEVE_CHECK(task.phase != Phase::ended || task.end_waiting,
                fmt::format("the end of {} will never be told",
                            keeper::to_string(key)));
    REEVE_CHECK(
        task.phase != Phase::ended || !gpus_.holds(key),
        fmt::format("{} has ended and holds GPUs", keeper::to_string(key)));
    REEVE_CHECK(!task.refused || !gpus_.holds(key),
                fmt::format("{} waits for room and holds GPUs",
                            keeper::to_string(key)));
    REEVE_CHECK(!handover_.waits(key) ||
                    (task.phase == Phase::launching && !task.in_runtime),
                fmt::format("{} is started and waits for its GPUs",
                            keeper::to_string(key)));
    REEVE_CHECK(
        task.phase == Phase::ended || !task.end_waiting,
        fmt::format("{} runs but its end is told", keeper::to_string(key)));
  }
  const std::size_t queued = facts_.size() + in_report_.size();
  REEVE_CHECK(
      waiting == queued,
      fmt::format("{} facts are queued, tasks wait for {}", queued, waiting));
  REEVE_CHECK(facts_accepted_ + queued == facts_queued_,
              fmt::format("{} accepted + {} queued is not {}", facts_accepted_,
                          queued, facts_queued_));
  REEVE_CHECK(report_.waiting == !in_report_.empty(),
              "a report in flight carries facts");
  REEVE_CHECK(tombstones_.size() == tombstones_by_age_.size(),
              "each tombstone has an age");
  for (const TaskKey& key : surplus_)
    REEVE_CHECK(tasks_.contains(key) && tasks_.at(key).phase != Phase::ended,
                "what is surplus runs");
}

}  // namespace reeve::agent
