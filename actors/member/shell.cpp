#include "actors/member/shell.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "actors/member/shell_impl.hpp"
#include "bus/verified.hpp"
#include "schema/wire.hpp"

namespace reeve::actors {
namespace {

using namespace std::chrono_literals;
using member::Position;
using std::string;

// How late the core may notice that something is due.
constexpr auto tick_interval = 50ms;
// A leader that ends and cannot hand over within this ends without.
constexpr std::uint64_t leave_ns_max = 4 * second_ns;
// How often the leader looks whether the servers are those of the managers.
constexpr std::uint64_t upkeep_ns = 2 * second_ns;

schema::ManagerRole role_of(member::Role role) {
  switch (role) {
    case member::Role::leading: return schema::ManagerRole::leading;
    case member::Role::candidate: return schema::ManagerRole::candidate;
    case member::Role::refusing: return schema::ManagerRole::refusing;
    case member::Role::following:
    case member::Role::deposed: break;
  }
  return schema::ManagerRole::following;
}

member::Role role_of(schema::ManagerRole role) {
  switch (role) {
    case schema::ManagerRole::leading: return member::Role::leading;
    case schema::ManagerRole::candidate: return member::Role::candidate;
    case schema::ManagerRole::refusing: return member::Role::refusing;
    case schema::ManagerRole::following: break;
  }
  return member::Role::following;
}

std::uint64_t first_word(const store::Hash& hash) {
  std::uint64_t word = 0;
  std::memcpy(&word, hash.data(), sizeof word);
  return word;
}

}  // namespace

string majority_text(const std::vector<cluster::ManagerIdentity>& managers) {
  string names;
  for (std::size_t i = 0; i < managers.size(); ++i)
    names += (i == 0                     ? ""
              : i + 1 == managers.size() ? " and "
                                         : ", ") +
             managers[i].name;
  return managers.size() == 1
             ? names
             : fmt::format("a majority of the cell's managers {}", names);
}
// ---- the core's thread

Status MemberRunner::Impl::subscribe() {
  bus::Connection& connection = *options.connection;
  const bus::Subjects& subjects = *options.subjects;
  Status status = connection.subscribe(
      subjects.member(options.name, "ping"), [&](const bus::Message& message) {
        if (!message.reply.empty())
          (void)connection.publish(message.reply, message.data);
      });
  if (status)
    status = bus::subscribe_verified<schema::MemberBeat>(
        connection, subjects.members("beat"), *options.quarantine,
        [this](const schema::MemberBeat&, const bus::Message& message) {
          inputs.add([this, kept = message.hold()] {
            hear(*schema::verified<schema::MemberBeat>(kept.data));
          });
        });
  if (status)
    status = connection.subscribe(
        subjects.stats(),
        [this](const bus::Message& message) { hear_agent(message); });
  bus::SubscribeOptions one_answers;
  one_answers.queue = "standby";
  if (status)
    status = bus::subscribe_verified<schema::Query>(
        connection, subjects.standbys(), *options.quarantine,
        [this](const schema::Query&, const bus::Message& message) {
          auto principal = options.subjects->principal_of(message.subject);
          if (!principal ||
              !bus::Subjects::may_answer(*principal, message.reply))
            return;
          // Who leads is settled first: most questions come while nobody does.
          inputs.add_last([this, who = std::move(*principal),
                           kept = message.hold()] { answer(who, kept); },
                          standby_queries_max);
        },
        one_answers);
  return status;
}

void MemberRunner::Impl::run() {
  while (!stop) {
    if (auto input = inputs.next(tick_interval)) (*input)();
    const Time now = monotonic();
    if (leads) core.on_log(shared_position());
    core.on_tick(now);
    publish_deadlines();
    for (const member::Effect& effect : core.take_effects()) {
      if (stop) return;
      std::visit([this](const auto& one) { perform(one); }, effect);
    }
    if (leaving && now >= leave_due) std::exchange(leaving, nullptr)();
    if (now >= beat_due || (told_hears_leader && !core.hears_leader())) {
      beat_due = Time{now.value + second_ns};
      tell_others(now);
    }
    if (leads) {
      tend_servers(now);
      continue;
    }
    tend_follower();
    report_healings(now);
  }
}

// For other threads.
void MemberRunner::Impl::publish_deadlines() {
  answers_until = core.answers_until().value;
  leads_until = core.leads_until().value;
  extends_until = core.extends_until().value;
}

void MemberRunner::Impl::take_managers(
    std::vector<cluster::ManagerIdentity> present) {
  if (!present.empty()) {
    managers = std::move(present);
    listed =
        std::any_of(managers.begin(), managers.end(),
                    [&](const auto& one) { return one.name == options.name; });
  }
  tell_listed();
}

// A log that does not name this one may be from before another came, too.
void MemberRunner::Impl::tell_listed() {
  core.on_barred(barred());
  if (!listed.value_or(false)) return core.on_managers(std::nullopt);
  std::set<string, std::less<>> names;
  for (const auto& one : managers) names.insert(one.name);
  core.on_managers(std::move(names));
}

// Who joined waits for the log that says so.
bool MemberRunner::Impl::barred() const {
  return !listed.value_or(options.joined_by == 0);
}

bool MemberRunner::Impl::is_expelled() {
  const std::lock_guard lock(core_mutex);
  const auto named = cluster::managers_of(options.core->state().identities());
  return !named.empty() &&
         std::none_of(named.begin(), named.end(), [&](const auto& one) {
           return one.name == options.name;
         });
}

// What follows from the log is looked at again and again: a leader that ended
// in the middle leaves the rest to the next.
void MemberRunner::Impl::tend_servers(Time now) {
  // First come the commands that waited for a leader.
  if (upkeep_due == Time{}) upkeep_due = Time{now.value + upkeep_ns};
  if (now < upkeep_due || upkeep_busy.exchange(true)) return;
  upkeep_due = Time{now.value + upkeep_ns};
  std::vector<string> servers;
  string own;
  for (const auto& one : managers) {
    servers.push_back(cluster::bus_server_of(one.name, one.token));
    if (one.name == options.name) own = servers.back();
  }
  const int wanted =
      member::replicas_of(std::min(core.keeping_up(now), managers.size()));
  upkeep_jobs.add([this, wanted, servers = std::move(servers), own] {
    keep_servers(wanted, servers, own);
    upkeep_busy = false;
  });
}

void MemberRunner::Impl::perform(const member::ReadLease&) {
  lease_jobs.add([this] {
    if (!open_lease())
      return (void)inputs.add([this] { core.on_lease_unread(monotonic()); });
    const auto read = lease->read();
    inputs.add([this, read] {
      if (!read) return core.on_lease_unread(monotonic());
      const bus::LeaseHolder holder = read->holder.value_or(bus::LeaseHolder{});
      core.on_lease_read(
          {read->revision,
           {holder.manager,
            Epoch{holder.epoch},
            {Epoch{holder.sequence_epoch}, Sequence{holder.sequence}},
            holder.next}},
          monotonic());
    });
  });
}

void MemberRunner::Impl::perform(const member::WriteLease& write) {
  lease_jobs.add([this, write] {
    using Kind = bus::LeaseOutcome::Kind;
    bus::LeaseOutcome outcome;
    if (open_lease())
      outcome = lease->write(write.revision,
                             {write.lease.holder, write.lease.epoch.value,
                              write.lease.kept.sequence.value, write.lease.next,
                              write.lease.kept.epoch.value});
    inputs.add([this, outcome] {
      const Time now = monotonic();
      switch (outcome.kind) {
        case Kind::held: return core.on_lease_written(outcome.revision, now);
        case Kind::lost: return core.on_lease_conflict(now);
        case Kind::unknown:
          return core.on_lease_unknown(now, options.connection->connected()
                                                ? member::Core::Asked::servers
                                                : member::Core::Asked::nobody);
      }
    });
  });
}

void MemberRunner::Impl::perform(const member::Ping& ping) {
  bus::Connection& connection = *options.connection;
  if (ping_reply) connection.close_reply(*ping_reply);
  const string subject = options.subjects->member(ping.member, "ping");
  auto reply = connection.open_reply(
      subject, [this, member = ping.member](const bus::Message& message) {
        inputs.add([this, member, delivery = message.delivery] {
          if (delivery == bus::Delivery::no_responders)
            core.on_ping_unheard(member, monotonic());
          else if (delivery == bus::Delivery::data)
            core.on_ping_heard(member);
        });
      });
  ping_reply.reset();
  if (!reply) return;
  ping_reply = *reply;
  (void)connection.publish_request(subject, *reply, {});
}

void MemberRunner::Impl::perform(const member::StepDown& step) {
  if (leaving) return std::exchange(leaving, nullptr)();
  options.on_step_down(step.why);
}

void MemberRunner::Impl::tell_others(Time now) {
  core.on_room(commit_waits                    ? member::Room::none
               : commit_alone                  ? member::Room::unreachable
               : options.log->admission_open() ? member::Room::enough
                                               : member::Room::scarce,
               now);
  const store::Head head = options.log->head();
  const member::Beat own = core.beat();
  flatbuffers::FlatBufferBuilder builder(256);
  const auto beat = schema::CreateMemberBeatDirect(
      builder, options.name.c_str(),
      static_cast<std::uint8_t>(role_of(own.role)), own.head.epoch.value,
      own.head.sequence.value, first_word(head.hash),
      own.program.version.c_str(), &own.program.protocol, own.lacks_room,
      own.hears_leader);
  told_hears_leader = own.hears_leader;
  (void)options.connection->publish(
      options.subjects->member(options.name, "beat"),
      schema::finish(builder, beat));
  manager::Membership present = membership(now);
  if (leads) return options.on_membership(std::move(present));
  const std::lock_guard lock(core_mutex);
  options.core->set_membership(std::move(present));
}

void MemberRunner::Impl::hear(const schema::MemberBeat& beat) {
  const string name(schema::text(beat.manager()));
  if (name == options.name) return;
  const Time now = monotonic();
  const string version(schema::text(beat.version()));
  const member::Beat said{
      role_of(static_cast<schema::ManagerRole>(beat.role())),
      {Epoch{beat.epoch()}, Sequence{beat.sequence()}},
      {cluster::valid_version(version) ? version : string(),
       cluster::protocol_of(beat.protocol())},
      beat.lacks_room(),
      beat.hears_leader()};
  if (!core.on_beat(name, said, now)) return;
  if (said.role != member::Role::leading || core.log() < said.head) return;
  age.on_current(now);
  if (expelled || !is_expelled()) return;
  expelled = true;
  options.on_expelled(
      fmt::format("{} is no manager of the cell {} any more, as the log that "
                  "{} leads says: to come back it joins again, in an empty "
                  "directory (reeve token create --role manager --name {})",
                  options.name, options.cell, name, options.name));
}

// On a thread of the connection's. Most agents have seen what is here, and then
// nothing is to be told. The leader's ingress keeps what is malformed.
void MemberRunner::Impl::hear_agent(const bus::Message& message) {
  if (following_done) return;
  const auto* beat = schema::verified<schema::Heartbeat>(message.data);
  if (!beat) return;
  string agent(schema::text(beat->agent()));
  const Position seen{Epoch{beat->seen_epoch()}, Sequence{beat->seen_seq()}};
  // An agent may speak for itself alone.
  if (seen <= position_of(options.log->head()) ||
      message.subject != options.subjects->stat(agent))
    return;
  inputs.add([this, agent = std::move(agent),
              seen] { core.on_witness(agent, seen, monotonic()); },
             witness_inputs_max);
}

// Of one that stands by.
member::Age MemberRunner::Impl::state_age(Time now) {
  const std::lock_guard lock(core_mutex);
  return age.at(now, options.core->state().last_time(), wall_time());
}

manager::Membership MemberRunner::Impl::membership(Time now) {
  manager::Membership out;
  out.name = options.name;
  out.role = role_of(core.role());
  out.leader = leads ? options.name : core.leader();
  if (!leads) {
    const member::Age old = state_age(now);
    out.behind_ns = old.ns.value_or(schema::unknown_ns);
    out.leader_unheard = old.of_log;
  }
  for (const cluster::ManagerIdentity& known : managers) {
    manager::ManagerSeen& one = out.managers.emplace_back();
    one.name = known.name;
    one.address = known.address;
    const bool self = known.name == options.name;
    const auto found = core.heard().find(known.name);
    one.heard = self || found != core.heard().end();
    if (!one.heard) continue;
    const member::Beat beat = self ? core.beat() : found->second.beat;
    one.silent_ns = self ? 0 : now.value - found->second.at.value;
    one.role = role_of(beat.role);
    one.epoch = beat.head.epoch.value;
    one.sequence = beat.head.sequence.value;
    one.program = beat.program;
  }
  return out;
}

void MemberRunner::Impl::answer(const string& principal,
                                const bus::Message& message) {
  if (leads) return options.on_query(principal, message);
  const auto* query = schema::verified<schema::Query>(message.data);
  std::vector<manager::Effect> effects;
  {
    manager::Membership present = membership(monotonic());
    const std::lock_guard lock(core_mutex);
    options.core->set_membership(std::move(present));
    options.core->set_bus_pid(options.bus_pid());
    (void)options.core->on_query(*query, principal, message.reply);
    effects = options.core->take_effects();
  }
  for (manager::Effect& effect : effects) {
    if (auto* reply = std::get_if<manager::SendReply>(&effect))
      (void)options.connection->publish(reply->reply_to, reply->bytes);
    else if (auto* identities = std::get_if<manager::SetBusIdentities>(&effect))
      options.on_identities(*identities);
  }
}

// ---- what became of the log here

void MemberRunner::Impl::to_tell(cluster::Healing healing) {
  const auto word = [] {
    return std::uint64_t{bus::random_jitter()} << 32 | bus::random_jitter();
  };
  reports.add(std::move(healing), {word(), word()});
}

// What the cell has in the place of what was set aside is known once it is
// here.
void MemberRunner::Impl::find_set_aside() {
  if (!options.set_aside ||
      options.log->head().sequence < options.set_aside->first)
    return;
  const auto end = options.log->reader()->record_end(options.set_aside->first);
  if (end) options.set_aside->other_epoch = end->epoch;
  to_tell(*std::exchange(options.set_aside, std::nullopt));
}

void MemberRunner::Impl::report_healings(Time now) {
  const string& leader = core.leader();
  if (core.role() != member::Role::following || leader.empty() ||
      leader == options.name)
    return;
  find_set_aside();
  std::vector<std::vector<std::byte>> due;
  {
    const std::lock_guard lock(core_mutex);
    due = reports.due(options.core->state().healings(), now);
  }
  if (due.empty()) return;
  bus::Connection& connection = *options.connection;
  if (report_reply) connection.close_reply(*report_reply);
  report_reply.reset();
  const string subject =
      options.subjects->command(options.principal, "report_healing");
  auto reply =
      connection.open_reply(subject, [this](const bus::Message& message) {
        inputs.add([this, kept = message.hold()] {
          const auto* said = schema::verified<schema::Reply>(kept.data);
          const auto no = said ? reports.on_reply(*said) : std::nullopt;
          if (no) spdlog::error("{}", *no);
        });
      });
  if (!reply) return;
  report_reply = *reply;
  for (const auto& command : due)
    (void)connection.publish_request(subject, *reply, command);
}

// What is not told by then it tells itself.
void MemberRunner::Impl::perform(const member::Lead& lead) {
  find_set_aside();
  {
    const std::lock_guard lock(core_mutex);
    untold = reports.untold(options.core->state().healings());
  }
  lead_wanted = lead.epoch.value;
}

void MemberRunner::Impl::tend_follower() {
  std::vector<manager::Effect> effects;
  {
    const std::lock_guard lock(core_mutex);
    options.core->on_tick(wall_time());
    effects = options.core->take_effects();
  }
  for (manager::Effect& effect : effects)
    if (auto* identities = std::get_if<manager::SetBusIdentities>(&effect))
      options.on_identities(*identities);
}
// ---- the runner

MemberRunner::MemberRunner(MemberOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

MemberRunner::~MemberRunner() {
  stop();
}

void MemberRunner::stop() {
  {
    const std::lock_guard lock(impl_->pause_mutex);
    impl_->stop = true;
  }
  impl_->stopped.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

Status MemberRunner::start() {
  if (auto heard = impl_->subscribe(); !heard) return heard;
  impl_->tell_listed();
  impl_->threads.emplace_back([this] { impl_->run(); });
  impl_->threads.emplace_back([this] { impl_->run_lease(); });
  impl_->threads.emplace_back([this] { impl_->run_stream(); });
  impl_->threads.emplace_back([this] { impl_->run_upkeep(); });
  return {};
}

void MemberRunner::fenced(const bus::StreamOutcome& outcome) {
  impl_->inputs.add([impl = impl_.get(), outcome] {
    if (outcome.kind == bus::StreamOutcome::Kind::shortened)
      impl->core.on_shortened();
    else
      impl->core.on_fenced(member::record_text(outcome), monotonic());
  });
}

bool MemberRunner::may_answer() const {
  return monotonic().value <= impl_->answers_until;
}

bool MemberRunner::leads() const {
  return monotonic().value <= impl_->leads_until;
}

void MemberRunner::set_room(bool room) {
  impl_->inputs.add([impl = impl_.get(), room] { impl->commit_waits = !room; });
}

void MemberRunner::set_alone(bool alone) {
  impl_->inputs.add(
      [impl = impl_.get(), alone] { impl->commit_alone = alone; });
}

void MemberRunner::drained() {
  impl_->inputs.add([impl = impl_.get()] {
    impl->core.on_drained(impl->shared_position(), monotonic());
  });
}

void MemberRunner::set_managers(
    std::vector<cluster::ManagerIdentity> managers) {
  impl_->inputs.add([impl = impl_.get(), managers = std::move(managers)] {
    impl->take_managers(managers);
  });
}

void MemberRunner::hand_over(
    std::string to, std::function<void(Expected<std::string>)> answer) {
  impl_->inputs.add(
      [impl = impl_.get(), to = std::move(to), answer = std::move(answer)] {
        answer(impl->core.hand_over(to, monotonic()));
      });
}

void MemberRunner::leave(std::function<void()> done) {
  impl_->inputs.add([impl = impl_.get(), done = std::move(done)] {
    impl->leaving = done;
    impl->leave_due = Time{monotonic().value + leave_ns_max};
    if (!impl->core.hand_over({}, monotonic())) impl->leave_due = {};
  });
}
}  // namespace reeve::actors
