#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "actors/journal/entities.hpp"
#include "actors/member/cell_stream.hpp"
#include "actors/member/refusing_servers.hpp"
#include "actors/member/shell_impl.hpp"
#include "bus/cluster_servers.hpp"
#include "cluster/check.hpp"

namespace reeve::actors {
namespace {

using namespace std::chrono_literals;
using member::Position;
using std::string;

// How long the follower waits for a record before it looks what it is to do.
constexpr auto follow_wait = 50ms;
// Between tries of what failed.
constexpr auto retry_wait = 500ms;
// One try to open the stream and the lease: a majority of servers has to be
// there.
constexpr auto open_wait = 5'000ms;
// A request of the lease.
constexpr auto lease_timeout = 1'500ms;
constexpr auto upkeep_timeout = 2'000ms;

}  // namespace

// ---- the thread of the upkeep

void MemberRunner::Impl::run_upkeep() {
  while (!stop)
    if (auto job = upkeep_jobs.next(200ms)) (*job)();
}

void MemberRunner::Impl::keep_servers(int wanted,
                                      const std::vector<string>& servers,
                                      const string& own) {
  Status done = copy_to(wanted);
  if (done) {
    const Status led = lead_elsewhere(own);
    // Who leads the servers is chosen last after a failure.
    done = forget_others(servers);
    if (done) done = bus::lead_servers_elsewhere(*system, own, upkeep_timeout);
    if (done) done = led;
  }
  if (done) {
    upkeep_complaint.clear();
  } else if (std::exchange(upkeep_complaint, done.error().text) !=
             done.error().text) {
    spdlog::warn("the bus servers are not as they should be yet: {}",
                 done.error().text);
  }
}

// Never to fewer.
Status MemberRunner::Impl::copy_to(int wanted) {
  if (wanted <= copies) return {};
  bus::StreamOptions of_stream;
  of_stream.replicas = wanted;
  of_stream.request_timeout = upkeep_timeout;
  of_stream.open_timeout = {};
  auto grown = bus::Stream::open(*options.connection, options.cell, of_stream);
  if (!grown) return tl::unexpected(grown.error());
  bus::LeaseOptions of_lease;
  of_lease.replicas = wanted;
  of_lease.request_timeout = upkeep_timeout;
  of_lease.open_timeout = {};
  auto lease_grown =
      bus::Lease::open(*options.connection, options.cell, of_lease);
  if (!lease_grown) return tl::unexpected(lease_grown.error());
  kept_stream = std::move(*grown);
  kept_lease = std::move(*lease_grown);
  copies = wanted;
  spdlog::info("each commit is kept by {} bus servers or more", wanted);
  return {};
}

Status MemberRunner::Impl::forget_others(const std::vector<string>& servers) {
  if (!system) {
    bus::ConnectionOptions how;
    how.credentials = options.system;
    how.name = "servers";
    auto connected = bus::Connection::connect(how);
    if (!connected) return tl::unexpected(connected.error());
    system = std::move(*connected);
  }
  std::vector<string> ours;
  for (const string& name : servers) ours.push_back(bus::server_id(name));
  const auto present = bus::stream_servers(*system, upkeep_timeout);
  if (!present) return tl::unexpected(present.error());
  // One that has just come may be a manager's that the list lacks by a moment.
  const auto before = std::exchange(strangers, {});
  for (const string& id : *present) {
    if (std::find(ours.begin(), ours.end(), id) != ours.end()) continue;
    strangers.insert(id);
    if (!before.contains(id)) continue;
    if (auto gone = bus::forget_stream_server(*system, id, upkeep_timeout);
        !gone)
      return gone;
    spdlog::warn("bus server {}, of no manager any more, is taken out", id);
  }
  return {};
}

// A host that fails takes its manager and its bus server along. Where that one
// leads, the others choose another first, in 4 to 9 s: so another does, and who
// takes over finds it there.
Status MemberRunner::Impl::lead_elsewhere(const string& own) {
  if (!kept_stream || !kept_lease) return {};
  if (auto done = kept_stream->lead_elsewhere(own); !done) return done;
  return kept_lease->lead_elsewhere(own);
}

// ---- the lease's thread

void MemberRunner::Impl::run_lease() {
  while (!stop)
    if (auto job = lease_jobs.next(200ms)) (*job)();
}

bool MemberRunner::Impl::open_lease() {
  if (lease) return true;
  bus::LeaseOptions how;
  how.replicas = replicas;
  how.grow = false;
  how.request_timeout = lease_timeout;
  how.open_timeout = open_wait;
  auto opened = bus::Lease::open(*options.connection, options.cell, how);
  if (!opened) return false;
  lease = std::move(*opened);
  return true;
}

// ---- the stream's thread

// Each thing that hinders is said once.
void MemberRunner::Impl::complain(const Error& error) {
  if (std::exchange(complaint, error.text) != error.text)
    spdlog::warn("the log of the cell is not followed: {}", error.text);
}

bool MemberRunner::Impl::open_stream() {
  member::RefusingServers servers;
  for (bool told = false; !stop; told = true) {
    auto opened = member::open_cell_stream(*options.connection, options.cell,
                                           replicas, open_wait, extends_until);
    if (opened) {
      stream = std::move(*opened);
      return true;
    }
    if (!told)
      spdlog::warn("{} waits for the bus servers of {}: {}", options.name,
                   majority, opened.error().text);
    if (read_wanted.exchange(false))
      inputs.add([this] { core.on_stream_unread(monotonic()); });
    if (servers.is_for_good(opened.error(), monotonic(),
                            bus::random_jitter())) {
      spdlog::warn(
          "the bus server here is started anew: the bus servers go on to "
          "refuse ({})",
          opened.error().text);
      options.start_bus_anew();
    }
    pause(retry_wait);
  }
  return false;
}

void MemberRunner::Impl::run_stream() {
  if (open_stream()) follow();
}

void MemberRunner::Impl::follow() {
  bus::Client client(*options.connection, *options.subjects, options.principal);
  member::LogCopy copy(*options.log, *stream, client,
                       [this](const schema::Event& event) {
                         const std::lock_guard lock(core_mutex);
                         return options.core->follow(event);
                       });
  while (!stop) {
    if (copy.divergence())
      return options.on_diverged(copy.divergence()->from,
                                 copy.divergence()->why);
    if (copy.wanted_id()) return options.on_log_id(*copy.wanted_id());
    if (read_wanted || lead_wanted != 0) {
      if (perform_wanted(copy)) return;
      continue;
    }
    const Position before = position_of(options.log->head());
    const Status stepped = copy.step(follow_wait);
    const Position now = position_of(options.log->head());
    if (now != before) {
      inputs.add([this, now] { core.on_log(now); });
      keep_snapshot();
    }
    if (!stepped) {
      complain(stepped.error());
      // Of what it could not write it does not know what it has.
      if (options.log->failed())
        return options.on_step_down(stepped.error().text);
      pause(retry_wait);
    } else if (!std::exchange(complaint, {}).empty()) {
      spdlog::info("the log of the cell is followed again");
    }
  }
}

// True: it leads, and the stream is another's.
bool MemberRunner::Impl::perform_wanted(member::LogCopy& copy) {
  const std::uint64_t epoch = lead_wanted.exchange(0);
  if (epoch != 0) return lead(copy, Epoch{epoch});
  if (read_wanted.exchange(false)) read_to_end(copy);
  return false;
}

void MemberRunner::Impl::read_to_end(member::LogCopy& copy) {
  const Status read = copy.read_to_end(&stop);
  if (!read) complain(read.error());
  inputs.add(
      [this, ok = read.has_value(), log = position_of(options.log->head())] {
        if (ok)
          core.on_stream_read(log, monotonic());
        else
          core.on_stream_unread(monotonic());
      });
}

bool MemberRunner::Impl::lead(member::LogCopy& copy, Epoch epoch) {
  // Another one led meanwhile, in an epoch as new, and its log was copied.
  if (position_of(options.log->head()).epoch >= epoch) {
    inputs.add([this] { core.on_stream_moved(monotonic()); });
    return false;
  }
  using Led = member::LogCopy::Led;
  using Tail = member::LogCopy::Tail;
  const auto done = copy.lead(
      [&](const std::optional<Tail>& tail) {
        std::vector<cluster::Healing> healings = untold;
        if (tail)
          healings.push_back({options.name,
                              cluster::HealingKind::tail_published,
                              tail->first,
                              tail->last,
                              tail->epoch,
                              {},
                              0,
                              0,
                              {}});
        const std::lock_guard lock(core_mutex);
        return options.core->beginning(options.cell, options.owner,
                                       options.owner_uid, options.name, epoch,
                                       wall_time(), healings);
      },
      stop);
  if (!done) {
    // What of it is in the stream is read from there again.
    options.on_step_down(
        fmt::format("{} cannot lead: {}", options.name, done.error().text));
    return true;
  }
  switch (done->outcome) {
    case Led::stopped: return true;
    case Led::moved:
      inputs.add([this] { core.on_stream_moved(monotonic()); });
      return false;
    case Led::fenced:
      inputs.add([this, by = done->by] { core.on_fenced(by, monotonic()); });
      return false;
    case Led::shortened:
      inputs.add([this] { core.on_shortened(); });
      return false;
    case Led::led: break;
  }
  inputs.add([this] {
    const Position log = position_of(options.log->head());
    leads = true;
    following_done = true;
    shared = std::make_shared<std::atomic<std::uint64_t>>(log.sequence.value);
    core.on_led(log, monotonic());
    publish_deadlines();
    options.on_lead({stream, shared, newest_snapshot});
    beat_due = {};
  });
  return true;
}

// As the journal has it done while it leads.
void MemberRunner::Impl::keep_snapshot() {
  const std::uint64_t head = options.log->head().sequence;
  if (!snapshots.due(head)) return;
  const auto taken = [this] {
    const std::lock_guard lock(core_mutex);
    return journal::take_snapshot(options.core->state());
  }();
  REEVE_CHECK(taken.has_value(), taken.error().text);
  const Status kept =
      options.log->put_snapshot(taken->sequence, taken->digest, taken->bytes);
  if (kept)
    newest_snapshot = taken->sequence;
  else
    spdlog::error("no snapshot: {}", kept.error().text);
  snapshots.finished(kept ? taken->sequence : 0, head);
  if (auto indexed = options.log->extend_index(options.snapshots.every_events,
                                               journal::find_entities);
      !indexed)
    spdlog::error("the log is not indexed: {}", indexed.error().text);
}
}  // namespace reeve::actors
