#include "tests/sim/daemon_process.hpp"

#include "actors/journal/core_reading.hpp"
#include "actors/journal/core_recovery.hpp"
#include "cluster/project.hpp"
#include "schema/wire.hpp"
#include "tests/sim/meddler.hpp"

namespace reeve::sim {
namespace {

constexpr std::uint64_t mailbox_ns_max = 200'000;
constexpr std::uint64_t space_check_ns = 500 * ms_ns;
constexpr std::uint64_t full_disk_wait_ns = 200 * ms_ns;
constexpr std::uint64_t mark_lag_ns = 50 * ms_ns;
constexpr std::size_t proposals_per_message_max = 64;

// Channels of the process, each in order.
enum Channel {
  from_bus,
  to_journal,
  from_journal,
  to_scheduler,
  from_scheduler,
  wake
};

manager::Options options_of(const Plan& plan) {
  manager::Options options;
  options.waiting_max = plan.waiting_max;
  return options;
}

}  // namespace

DaemonProcess::DaemonProcess(World& world, Daemon& daemon, Log log,
                             cluster::State state,
                             std::uint64_t newest_snapshot)
    : Process(world.loop, world.random),
      world_(world),
      daemon_(daemon),
      log_(std::move(log)),
      core_(std::move(state), options_of(world.plan)),
      snapshots_({world.plan.snapshot_every_events}, newest_snapshot) {}

void DaemonProcess::begin() {
  cluster::tell_as_events(core_.state(), [&](const schema::Event& event) {
    scheduler_.apply(event);
  });
  if (!world_.meddler || world_.meddler->judged()) {
    auto known = journal::fold_log(log_);
    SIM_CHECK(known, "the log cannot be folded: {}", known.error().text);
    judge_.emplace(std::move(known->state), world_.probes);
  }
  core_.start("cell", "root", 0, "main", now());
  scheduler_now_ = core_.now();
  core_.set_admission(log_.admission_open());
  room_ = reads_wait_ = log_.admission_open();
  later(world_.tick_ns, [this] { tick(); });
  later(space_check_ns, [this] { watch_space(); });
  send(to_scheduler, mailbox_ns_max, [this] { propose(); });
  pump();
}

// ---- the manager's shell

void DaemonProcess::receive(const Packet& packet) {
  if (deposed_) return;
  send(from_bus, mailbox_ns_max, [this, packet] {
    on_packet(packet);
    pump();
  });
}

void DaemonProcess::on_packet(const Packet& packet) {
  const auto& bytes = *packet.bytes;
  const auto before = core_.counters();
  switch (packet.kind) {
    case Packet::Kind::command:
      core_.on_command(*schema::verified<schema::Command>(bytes),
                       packet.principal, packet.reply_to, now());
      break;
    case Packet::Kind::query: {
      const auto& query = *schema::verified<schema::Query>(bytes);
      auto asked = core_.on_query(query, packet.principal, packet.reply_to);
      if (!asked) break;
      send(to_scheduler, mailbox_ns_max,
           [this, asked = std::move(*asked), to = packet.reply_to] {
             auto said =
                 *manager::ask_scheduler(scheduler_, asked, scheduler_now_);
             send(from_scheduler, mailbox_ns_max,
                  [this, asked, to, said = std::move(said)] {
                    core_.on_scheduler(asked, said, to);
                    pump();
                  });
           });
      break;
    }
    case Packet::Kind::heartbeat: {
      const auto& beat = *schema::verified<schema::Heartbeat>(bytes);
      core_.on_heartbeat(schema::text(beat.agent()), now(),
                         {beat.tasks(), beat.sent()});
      break;
    }
    case Packet::Kind::read: {
      const auto& read = *schema::verified<schema::LogRead>(bytes);
      return publish(packet.from, Packet::Kind::chunk,
                     journal::answer_read(log_, read, log_.head().sequence));
    }
    default: break;
  }
  const auto& after = core_.counters();
  world_.probes.hit(Probe::command_repeated, after.repeats - before.repeats);
  world_.probes.hit(Probe::fact_foreign,
                    after.facts_foreign - before.facts_foreign);
}

void DaemonProcess::tick() {
  core_.on_tick(now());
  send(to_scheduler, mailbox_ns_max, [this, time = core_.now()] {
    scheduler_now_ = std::max(scheduler_now_, time);
    const Time next = scheduler_.next_wakeup();
    if (propose_again_ || (next.value != 0 && next <= scheduler_now_))
      propose();
  });
  pump();
  later(world_.tick_ns, [this] { tick(); });
}

void DaemonProcess::pump() {
  if (std::exchange(pump_waits_, true)) return;
  send(wake, mailbox_ns_max, [this] { pump_now(); });
}

void DaemonProcess::pump_now() {
  pump_waits_ = false;
  if (in_flight_ == 0) {
    auto taken = core_.take_batch();
    if (world_.meddler) world_.meddler->alter(core_.state(), taken);
    auto batch = std::make_shared<const manager::Batch>(std::move(taken));
    if (batch->count > 0) {
      in_flight_ = batch->first.value + batch->count - 1;
      send(to_journal, mailbox_ns_max, [this, batch] { commit(batch); });
      send(to_scheduler, mailbox_ns_max, [this, batch] { schedule(batch); });
    }
  }
  for (const manager::Effect& effect : core_.take_effects())
    std::visit([this](const auto& one) { perform(one); }, effect);
  reads_wait_ = room_;
  // Costs a walk over all sessions: the more there are, the less often.
  if (!deposed_ &&
      world_.random.one_in(1 + core_.state().next_session().value / 64))
    world_.oracle.check_state(core_.state());
}

void DaemonProcess::perform(const manager::SendReply& reply) {
  if (deposed_) return;
  world_.oracle.answered(reply.bytes, reads_wait_);
  publish(static_cast<End>(std::stoul(reply.reply_to)), Packet::Kind::reply,
          reply.bytes);
}

void DaemonProcess::perform(const manager::SendOrder& order) {
  const auto* verified = schema::verified<schema::AgentOrder>(order.bytes);
  SIM_CHECK(verified, "an order fails verification");
  world_.oracle.ordered(*verified);
  const auto agent = world_.agents.find(order.agent);
  if (agent == world_.agents.end()) return;
  publish(agent->second, Packet::Kind::order, order.bytes);
}

void DaemonProcess::publish(End to, Packet::Kind kind,
                            std::span<const std::byte> bytes) {
  world_.network.send(world_.daemon, to,
                      {kind,
                       world_.daemon,
                       {},
                       {},
                       std::make_shared<const std::vector<std::byte>>(
                           bytes.begin(), bytes.end())});
}

void DaemonProcess::on_committed(std::uint64_t sequence, bool open,
                                 const std::string& why) {
  room_ = open && why.empty();
  reads_wait_ = reads_wait_ && room_;
  core_.set_admission(open);
  core_.set_no_room(why);
  core_.committed(Sequence{sequence});
  if (sequence >= in_flight_) in_flight_ = 0;
  if (!deposed_ &&
      world_.random.one_in(16 + core_.state().next_session().value / 2))
    world_.oracle.compare(core_.state());
  pump();
}

// ---- the scheduler's shell

void DaemonProcess::schedule(const Batch& batch) {
  const Status walked = store::for_each_event(
      batch->events, [this](std::span<const std::byte> bytes) {
        const schema::Event& event = schema::event_of(bytes);
        scheduler_now_ = std::max(scheduler_now_, Time{event.time_at()});
        scheduler_.apply(event);
        if (judge_) judge_->told(event);
      });
  SIM_CHECK(walked, "{}", walked.error().text);
  propose();
}

void DaemonProcess::propose() {
  propose_again_ = false;
  if (judge_) judge_->begin_pass(scheduler_, scheduler_now_);
  while (propose_some()) {
  }
  if (judge_) judge_->end_pass(scheduler_now_);
  make_room();
}

// Whether there are more.
bool DaemonProcess::propose_some() {
  auto list = scheduler_.propose(scheduler_now_, proposals_per_message_max);
  const bool more = list.size() == proposals_per_message_max;
  if (world_.meddler && world_.faults)
    world_.meddler->alter(known(), scheduler_now_, list);
  if (judge_) judge_->proposed(list, scheduler_now_);
  if (!list.empty())
    send(from_scheduler, mailbox_ns_max,
         [this, list = std::move(list)] { take(list); });
  return more;
}

void DaemonProcess::take(const std::vector<cluster::Proposal>& list) {
  auto refused = core_.on_proposals(list, now());
  world_.probes.hit(Probe::placement_refused, refused.size());
  if (!refused.empty())
    send(to_scheduler, mailbox_ns_max, [this, refused = std::move(refused)] {
      for (const auto& [session, attempt] : refused) {
        scheduler_.refused(session, attempt);
        if (judge_) judge_->refused(session, attempt);
      }
      propose_again_ = true;
    });
  pump();
}

void DaemonProcess::make_room() {
  auto room = scheduler_.preempt(scheduler_now_);
  if (world_.meddler && world_.faults)
    world_.meddler->alter(known(), scheduler_now_, room);
  if (room.empty()) return;
  if (judge_) judge_->making_room(room, scheduler_now_);
  send(from_scheduler, mailbox_ns_max, [this, room = std::move(room)] {
    core_.on_preemptions(room, now());
    pump();
  });
}

// ---- the journal's shell

void DaemonProcess::commit(Batch batch) {
  if (deposed_) return;
  const Status written =
      log_.write(batch->epoch.value, batch->count, batch->events);
  if (!written && written.error().code == Errc::no_space) {
    world_.probes.hit(Probe::held_without_room);
    held_ = batch;
    no_room_ = written.error().text;
    tell_committed();
    return later(full_disk_wait_ns, [this] {
      if (held_) commit(held_);
    });
  }
  SIM_CHECK(written, "the log refuses a commit: {}", written.error().text);
  held_ = nullptr;
  no_room_.clear();
  later(world_.random.spread(ms_ns / 10, world_.plan.sync_ns_max),
        [this, batch] { sync(batch); });
  if (!world_.fault(world_.plan.commit_cut_ppm)) return;
  if (world_.random.one_in(2)) return daemon_.crash();
  daemon_.lose_power();
}

void DaemonProcess::sync(const Batch& batch) {
  if (deposed_) return;
  if (!log_.sync()) return fatal();
  world_.oracle.committed(batch->events, log_.head());
  tell_committed();
  const Status walked = store::for_each_event(
      batch->events, [this](std::span<const std::byte> event) {
        publish(world_.watcher, Packet::Kind::event, event);
      });
  SIM_CHECK(walked, "{}", walked.error().text);
  later(world_.random.below(mark_lag_ns), [this] {
    if (!deposed_ && !log_.mark()) fatal();
  });
  if (snapshots_.due(log_.head().sequence))
    later(world_.random.spread(ms_ns, second_ns), [this] { take_snapshot(); });
}

void DaemonProcess::tell_committed() {
  send(from_journal, mailbox_ns_max,
       [this, sequence = log_.head().sequence, open = log_.admission_open(),
        why = no_room_] { on_committed(sequence, open, why); });
}

void DaemonProcess::watch_space() {
  tell_committed();
  later(std::max(space_check_ns, world_.tick_ns), [this] { watch_space(); });
}

// On a thread of its own: commits go on meanwhile.
void DaemonProcess::take_snapshot() {
  if (deposed_) return;
  const auto folded = journal::fold_log(log_);
  SIM_CHECK(folded, "the log cannot be folded: {}", folded.error().text);
  const auto taken = journal::take_snapshot(folded->state);
  SIM_CHECK(taken, "{}", taken.error().text);
  const Status kept =
      log_.put_snapshot(taken->sequence, taken->digest, taken->bytes);
  snapshots_.finished(kept ? taken->sequence : 0, log_.head().sequence);
  if (kept && world_.fault(world_.plan.snapshot_damaged_ppm))
    log_.damage_snapshot(taken->sequence);
}

void DaemonProcess::fatal() {
  world_.loop.note("daemon: a commit failed, the process ends");
  daemon_.end_process();
}

}  // namespace reeve::sim
