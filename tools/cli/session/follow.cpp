#include "tools/cli/session/follow.hpp"

#include <fmt/format.h>

#include <map>

#include "bus/client.hpp"
#include "cluster/printable.hpp"
#include "cluster/session_id.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/cli/session/live_inbox.hpp"

namespace reeve::tools {
namespace {

using schema::EventBody;

// How often a silent session is asked for: events on the bus may be lost.
constexpr int look_every_ms = 2'000;
constexpr std::uint64_t million = 1'000'000;
// The last live pieces may be behind the event that tells the end.
constexpr int last_pieces_ms = 3;
// What was written before we listened is read after this silence: of a task
// that ends at once, the last live piece tells that there is nothing to read.
constexpr int catch_up_after_ms = 40;
constexpr std::uint32_t output_read_bytes = 512 << 10;
constexpr std::chrono::milliseconds output_timeout{5'000};

Piece piece_of(const schema::OutputChunk& chunk) {
  Piece out;
  out.key = {chunk.rank(), chunk.stream()};
  out.attempt = chunk.attempt();
  out.offset = chunk.offset();
  out.end = chunk.end();
  out.available_from = chunk.available_from();
  out.finished = chunk.finished();
  if (chunk.data() != nullptr)
    out.data = {reinterpret_cast<const char*>(chunk.data()->data()),
                chunk.data()->size()};
  return out;
}

Outcome outcome_of(const schema::SessionView& view) {
  return {view.state(), view.reason(), view.exit_code(), view.signal(),
          std::string(schema::text(view.detail()))};
}

std::vector<std::string> agents_of(const schema::SessionView& view) {
  if (view.tasks() == nullptr) return {};
  std::vector<std::string> agents(view.tasks()->size());
  for (const auto* task : *view.tasks())
    if (task->rank() < agents.size())
      agents[task->rank()] = schema::text(task->agent());
  return agents;
}

constexpr std::string_view dropped_text = "bytes of output are no longer kept";

}  // namespace

Status read_output(Cell& cell, std::string_view agent, SessionId session,
                   StreamKey key, OutputStreams& streams, const Write& write) {
  for (;;) {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto read = schema::CreateOutputRead(
        builder, session.value, streams.attempt(), key.rank, key.stream,
        streams.offset(key), output_read_bytes);
    auto buffer = cell.client().output(agent, schema::finish(builder, read),
                                       output_timeout);
    if (!buffer) return tl::unexpected(buffer.error());
    const auto* chunk = schema::verified<schema::OutputChunk>(*buffer);
    if (chunk->error() != nullptr)
      return fail(Errc::not_found, printable(chunk->error()->string_view()));
    Piece piece = piece_of(*chunk);
    piece.key = key;
    piece.attempt = streams.attempt();
    const auto taken = streams.take(piece);
    if (taken.dropped_bytes > 0)
      say(fmt::format("reeve: {} {} (task {})", taken.dropped_bytes,
                      dropped_text, key.rank));
    if (taken.gap || taken.data.empty()) return {};
    if (auto good = write(key, taken.data); !good) return good;
    if (streams.offset(key) >= chunk->end() || interrupt_pending()) return {};
  }
}

Follower::Follower(Cell& cell, Interrupts& interrupts, SessionId session,
                   FollowOptions options)
    : cell_(cell),
      interrupts_(interrupts),
      session_(session),
      options_(options),
      inbox_(std::make_shared<LiveInbox>()) {}

Status Follower::subscribe() {
  const auto& subjects = cell_.subjects();
  const auto listen = [this](const std::string& pattern, bool is_event) {
    return cell_.connection().subscribe(
        pattern, [inbox = inbox_, &interrupts = interrupts_,
                  is_event](const bus::Message& message) {
          inbox->put({message.hold(), is_event});
          interrupts.wake();
        });
  };
  if (options_.output) {
    auto good = listen(subjects.outputs_of_session(session_.value), false);
    if (!good) return good;
  }
  return listen(subjects.events_of_session(session_.value), true);
}

bool Follower::wanted(StreamKey key) const {
  return options_.output && !simulated_ &&
         (!options_.only || *options_.only == key);
}

std::vector<StreamKey> Follower::streams_of(std::uint32_t rank) const {
  std::vector<StreamKey> out;
  for (const std::uint8_t stream : {1, 2})
    if (wanted({rank, stream})) out.push_back({rank, stream});
  return out;
}

bool Follower::all_complete() const {
  for (std::uint32_t rank = 0; rank < tasks_; ++rank)
    for (const StreamKey key : streams_of(rank))
      if (!streams_.complete(key)) return false;
  return true;
}

// Asks for the session as it is. Silence is told once and waited out.
Status Follower::look(bool catch_up_too) {
  const auto view =
      cell_.session(session_, std::chrono::milliseconds(look_every_ms));
  if (!view && view.error().code != Errc::unreachable)
    return tl::unexpected(view.error());
  if (!view && interrupt_pending()) return {};
  if (!view) {
    if (!told_silence_) say("reeve: the cell does not answer; waiting for it");
    told_silence_ = true;
    return {};
  }
  if (told_silence_) say("reeve: the cell answers again");
  told_silence_ = false;
  simulated_ = (*view)->simulated();
  tasks_ = (*view)->tasks_wanted();
  if (!writer_) writer_.emplace(tasks_ > 1 && !options_.only);
  streams_.begin_attempt((*view)->attempt());
  attempt_ = (*view)->attempt();
  agents_ = agents_of(**view);
  if (has_ended((*view)->state())) outcome_ = outcome_of(**view);
  if (catch_up_too) return catch_up(**view);
  return {};
}

// Reads what was written before we listened, or was lost on the way. An agent
// that is silent for one stream is not asked for the others.
Status Follower::catch_up(const schema::SessionView& view) {
  if (view.tasks() == nullptr || !options_.output || simulated_) return {};
  std::map<std::string_view, Error> silent;
  for (const auto* task : *view.tasks()) {
    if (task->started_at() == 0 || task->agent() == nullptr) continue;
    const auto agent = schema::text(task->agent());
    for (const StreamKey key : streams_of(task->rank())) {
      if (interrupt_pending()) return {};
      if (streams_.complete(key)) continue;
      const auto known = silent.find(agent);
      const auto good =
          known != silent.end()
              ? Status(tl::unexpected(known->second))
              : read_output(cell_, agent, session_, key, streams_,
                            [this](StreamKey of, std::string_view data) {
                              return writer_->write(of, data);
                            });
      if (!good && good.error().code == Errc::io) return good;
      if (!good && good.error().code == Errc::unreachable)
        silent.emplace(agent, good.error());
      if (!good && outcome_)
        say(fmt::format("reeve: output of task {} from byte {} is missing: {}",
                        key.rank, streams_.offset(key), good.error().text));
    }
  }
  return {};
}

bool Follower::runs(std::string_view agent, std::uint32_t rank) const {
  return rank < agents_.size() && agents_[rank] == agent;
}

// The bus lets an agent publish under its own name alone; whether it runs the
// task is the cell's to say. It is asked when the task was placed meanwhile.
Expected<bool> Follower::from_its_agent(const schema::OutputChunk& chunk,
                                        std::string_view subject) {
  const auto agent = cell_.subjects().agent_of_output(subject);
  if (!agent) return false;
  if (runs(*agent, chunk.rank())) return true;
  const bool placed =
      chunk.rank() < agents_.size() && !agents_[chunk.rank()].empty();
  if (placed && chunk.attempt() <= attempt_) return false;
  if (auto good = look(false); !good) return tl::unexpected(good.error());
  return runs(*agent, chunk.rank());
}

Status Follower::take_chunk(const schema::OutputChunk& chunk) {
  const Piece piece = piece_of(chunk);
  if (!wanted(piece.key)) return {};
  auto taken = streams_.take(piece);
  if (taken.gap) {
    if (auto good = look(true); !good) return good;
    taken = streams_.take(piece);
  }
  if (taken.data.empty()) return {};
  return writer_->write(piece.key, taken.data);
}

void Follower::take_event(const schema::Event& event) {
  if (const auto* ended = event.body_as_SessionEnded())
    outcome_ =
        Outcome{ended->state(), ended->reason(), ended->exit_code(),
                ended->signal(), std::string(schema::text(ended->detail()))};
}

Status Follower::take_messages() {
  while (const auto entry = inbox_->take()) {
    if (entry->is_event) {
      const auto* event = schema::verified_event(entry->message.data);
      if (event != nullptr) take_event(*event);
      continue;
    }
    const auto* chunk =
        schema::verified<schema::OutputChunk>(entry->message.data);
    if (chunk == nullptr || chunk->session() != session_.value) continue;
    const auto its_own = from_its_agent(*chunk, entry->message.subject);
    if (!its_own) return tl::unexpected(its_own.error());
    if (!*its_own) continue;
    if (auto good = take_chunk(*chunk); !good) return good;
  }
  // No later piece may come to show the gap.
  return inbox_->take_dropped() ? look(true) : Status{};
}

// The session has ended; now every byte of it must have been shown.
Status Follower::finish() {
  if (!all_complete() && outcome_->reason != schema::EndReason::start_failed) {
    interrupts_.wait(last_pieces_ms);
    if (auto good = take_messages(); !good) return good;
    if (!all_complete())
      if (auto good = look(true); !good) return good;
  }
  return writer_ ? writer_->finish() : Status{};
}

Expected<std::optional<Outcome>> Follower::follow(
    const std::function<OnSignal(int)>& on_signal) {
  if (auto good = subscribe(); !good) return tl::unexpected(good.error());
  if (auto good = look(false); !good) return tl::unexpected(good.error());
  if (!writer_) writer_.emplace(false);
  const std::uint64_t begun_ns = monotonic_ns();
  std::uint64_t looked_ns = begun_ns;
  bool caught_up = !options_.output;
  for (;;) {
    if (auto good = take_messages(); !good) return tl::unexpected(good.error());
    if (outcome_) break;
    const int signal =
        interrupts_.wait(caught_up ? look_every_ms : catch_up_after_ms);
    if (signal != 0 && on_signal(signal) == OnSignal::leave)
      return std::optional<Outcome>();
    const std::uint64_t now_ns = monotonic_ns();
    const bool late = now_ns - begun_ns >= catch_up_after_ms * million;
    const bool silent = now_ns - looked_ns >= look_every_ms * million;
    if (!silent && (caught_up || !late)) continue;
    if (auto good = look(!caught_up); !good)
      return tl::unexpected(good.error());
    caught_up = true;
    looked_ns = now_ns;
  }
  if (auto good = finish(); !good) return tl::unexpected(good.error());
  return outcome_;
}

}  // namespace reeve::tools
