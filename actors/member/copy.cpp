#include "actors/member/copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "schema/wire.hpp"
#include "store/log_id.hpp"
#include "store/record_run.hpp"

namespace reeve::member {
namespace {

using namespace std::chrono_literals;

constexpr auto fetch_wait = 500ms;
// One try of a record under way, before it is looked whether to stop.
constexpr auto publish_wait = 1'000ms;
constexpr auto gap_timeout = 5'000ms;

// Of a record that is not a view into a log: its value as the log has it.
std::vector<std::byte> value_of(const store::RecordHeader& header,
                                std::span<const std::byte> events) {
  std::vector<std::byte> value(header.size() + events.size());
  std::memcpy(value.data(), header.data(), header.size());
  if (!events.empty())
    std::memcpy(value.data() + header.size(), events.data(), events.size());
  return value;
}

Status check_events(const store::Record& record) {
  Status sound;
  const Status walked =
      store::for_each_event(record.events, [&](std::span<const std::byte> one) {
        if (!schema::verified_event(one))
          sound = fail(Errc::damaged,
                       fmt::format("the record of event {} holds what is no "
                                   "event of ours",
                                   record.first_sequence));
      });
  return walked ? sound : walked;
}

}  // namespace

std::string record_text(const bus::StreamOutcome& outcome) {
  return outcome.by ? bus::text_of(*outcome.by) : "another record";
}

LogCopy::LogCopy(store::Log& log, bus::Stream& stream, bus::Client& cell,
                 Follow follow)
    : log_(log),
      stream_(stream),
      cell_(cell),
      follow_(std::move(follow)),
      reader_(log.reader()) {}

// ---- following

// A message names its last event; how many it has is in the value.
Expected<store::Record> LogCopy::record_of(
    const bus::StreamRecord& message) const {
  auto record = store::parse_record(1, message.value);
  if (!record) return record;
  if (record->epoch != message.id.epoch ||
      record->count > message.id.last_sequence)
    return fail(Errc::damaged,
                fmt::format("message {} of the stream is named {} and has {} "
                            "events of epoch {}",
                            message.stream_sequence, bus::text_of(message.id),
                            record->count, record->epoch));
  record->first_sequence = message.id.last_sequence - record->count + 1;
  return record;
}

// Whether the log here agrees with the cell's up to this record's first event.
Expected<LogCopy::Fit> LogCopy::fits(std::uint64_t stream_sequence) {
  stream_.follow_after(stream_sequence - 1);
  auto messages = stream_.fetch(fetch_wait);
  if (!messages) return tl::unexpected(messages.error());
  if (messages->empty())
    return fail(
        Errc::unreachable,
        fmt::format("message {} of the stream did not come", stream_sequence));
  const auto record = record_of(messages->front());
  if (!record) return tl::unexpected(record.error());
  const std::uint64_t before = record->first_sequence - 1;
  if (before > log_.head().sequence) return Fit{Fit::Kind::behind, before};
  const auto end = reader_->record_end(before);
  if (!end) return tl::unexpected(end.error());
  const bool follows = end->sequence == before &&
                       store::chain_hash(end->hash, *record) == record->hash;
  return Fit{follows ? Fit::Kind::fits : Fit::Kind::parted, before};
}

// The last message whose record follows what is here, or the first there is.
Status LogCopy::find_place() {
  const auto head = stream_.head();
  if (!head) return tl::unexpected(head.error());
  const std::uint64_t own = log_.head().sequence;
  in_stream_ = 0;
  fill_to_ = 0;
  shorter_since_.reset();
  if (!head->last) {
    // Others fetch what is here before they follow.
    in_stream_ = own;
    stream_.follow_after(head->last_sequence);
    placed_ = true;
    return {};
  }
  const auto found = stream_.find(std::max<std::uint64_t>(own, 1));
  if (!found) return tl::unexpected(found.error());
  const std::uint64_t first = std::max<std::uint64_t>(head->first_sequence, 1);
  std::uint64_t at =
      std::max(first, *found > head->last_sequence ? *found - 1 : *found);
  for (std::uint64_t back = 1;; back *= 2) {
    const auto fit = fits(at);
    if (!fit) return tl::unexpected(fit.error());
    if (fit->kind == Fit::Kind::parted && at == first)
      return find_parting(fit->before);
    if (fit->kind == Fit::Kind::fits || at == first) break;
    at -= std::min(back, at - first);
  }
  stream_.follow_after(at - 1);
  placed_ = true;
  return {};
}

Status LogCopy::step(std::chrono::milliseconds timeout) {
  if (divergence_ || wanted_id_) return {};
  if (!placed_)
    if (auto found = find_place(); !found || divergence_) return found;
  if (has_gap()) return fill();
  auto messages = stream_.fetch(timeout);
  if (!messages) {
    // What it no longer keeps, the leader has.
    if (messages.error().code == Errc::not_found) placed_ = false;
    return tl::unexpected(messages.error());
  }
  for (const bus::StreamRecord& message : *messages) {
    const Status taken = take(message);
    if (!taken || has_gap()) stream_.follow_after(message.stream_sequence - 1);
    if (!taken || has_gap() || divergence_ || wanted_id_) return taken;
  }
  return {};
}

Status LogCopy::read_to_end(const std::atomic<bool>* stop) {
  if (!placed_)
    if (auto found = find_place(); !found) return found;
  const auto head = stream_.head();
  if (!head) return tl::unexpected(head.error());
  if (head->last_sequence + 1 < stream_.next_sequence()) {
    const auto now = std::chrono::steady_clock::now();
    if (!shorter_since_) shorter_since_ = now;
    placed_ = now - *shorter_since_ < bus::shortened_wait;
    return fail(Errc::unreachable,
                fmt::format("the stream ends at {}, and {} was read from it "
                            "before: the bus servers lost messages",
                            head->last_sequence, stream_.next_sequence() - 1));
  }
  shorter_since_.reset();
  // What the servers have lost meanwhile never comes.
  auto came_at = std::chrono::steady_clock::now();
  while (!divergence_ && !wanted_id_ &&
         stream_.next_sequence() <= head->last_sequence) {
    if (stop && *stop)
      return fail(Errc::unreachable, "it ends before it has read the stream");
    const std::uint64_t next = stream_.next_sequence();
    const bool filled = has_gap();
    if (auto stepped = step(fetch_wait); !stepped) return stepped;
    if (has_gap())
      return fail(Errc::unreachable,
                  fmt::format("the events up to {} are copied from the leader "
                              "first",
                              fill_to_));
    const auto now = std::chrono::steady_clock::now();
    if (filled || stream_.next_sequence() != next) came_at = now;
    if (now - came_at >= bus::shortened_wait)
      return fail(Errc::unreachable,
                  fmt::format("message {} of the stream did not come, and it "
                              "ended at {}",
                              next, head->last_sequence));
  }
  if (divergence_) return fail(Errc::damaged, divergence_->why);
  if (wanted_id_)
    return fail(Errc::rejected, "the log here begins anew, as a copy");
  return {};
}

Status LogCopy::take(const bus::StreamRecord& message) {
  const auto record = record_of(message);
  if (!record) return tl::unexpected(record.error());
  // What has no id, or none that is one, comes from a manager that names none.
  if (const auto id = store::parse_log_id(message.log);
      id && log_.head().sequence == 0 && *id != reader_->log_id()) {
    wanted_id_ = *id;
    return {};
  }
  if (record->first_sequence > log_.head().sequence + 1) {
    fill_to_ = record->first_sequence - 1;
    if (auto filled = fill(); !filled || divergence_ || has_gap())
      return filled;
  }
  const Status done = record->first_sequence <= log_.head().sequence
                          ? compare(*record)
                          : keep(std::span(&*record, 1));
  if (done) in_stream_ = std::max(in_stream_, record->last_sequence());
  return done;
}

// The same commit, or the place where the logs part.
Status LogCopy::compare(const store::Record& record) {
  const auto end = reader_->record_end(
      std::min(record.last_sequence(), log_.head().sequence));
  if (!end) return tl::unexpected(end.error());
  if (*end == store::head_of(record)) return {};
  const auto before = reader_->record_end(record.first_sequence - 1);
  if (!before) return tl::unexpected(before.error());
  // What goes before it is not here either, of which the stream has lost some:
  // only whole commits can be set aside.
  if (before->sequence != record.first_sequence - 1 ||
      store::chain_hash(before->hash, record) != record.hash)
    return find_parting(record.first_sequence - 1);
  divergence_ = Divergence{
      record.first_sequence,
      fmt::format("at event {} the cell's log goes on in epoch {}, and the log "
                  "here had a commit of epoch {} there that the other managers "
                  "never had",
                  record.first_sequence, record.epoch, end->epoch)};
  return {};
}

// Those up to the first that cannot be kept, synced once.
Status LogCopy::keep(std::span<const store::Record> records) {
  std::vector<store::Log::Prepared> prepared;
  Status fits;
  for (const store::Record& record : records) {
    fits = check_events(record);
    if (!fits) break;
    auto one = log_.prepare_record(record);
    if (!one) fits = tl::unexpected(one.error());
    if (!fits) break;
    prepared.push_back(std::move(*one));
  }
  if (prepared.empty()) return fits;
  if (auto kept = log_.commit(prepared); !kept)
    return tl::unexpected(kept.error());
  Status followed;
  for (const store::Record& record : records.first(prepared.size()))
    (void)store::for_each_event(record.events,
                                [&](std::span<const std::byte> one) {
                                  if (followed)
                                    followed = follow_(schema::event_of(one));
                                });
  return followed ? fits : followed;
}

// The leader's records from the one that holds event `from` on, as a run whose
// first event is `first`.
Expected<bus::Buffer> LogCopy::leaders_run(std::uint64_t from, std::uint64_t to,
                                           std::uint64_t& first) {
  flatbuffers::FlatBufferBuilder builder(64);
  const auto read = schema::CreateLogRead(builder, from, to, 0, true);
  const auto answer =
      cell_.log_read(schema::finish(builder, read), gap_timeout);
  if (!answer)
    return fail(Errc::unreachable,
                fmt::format("the stream does not have the events {} to {}, and "
                            "no leader gives them: {}",
                            from, to, answer.error().text));
  const auto* chunk = schema::verified<schema::LogChunk>(*answer);
  if (chunk->error()) return fail(Errc::unreachable, chunk->error()->str());
  const auto* run = chunk->records();
  if (!run || run->size() == 0 || chunk->first_seq() > from)
    return fail(Errc::unreachable,
                fmt::format("the leader gave no events from {} on", from));
  first = chunk->first_seq();
  return bus::Buffer::copy(
      {reinterpret_cast<const std::byte*>(run->data()), run->size()});
}

// From the leader, towards event `fill_to_`, what it gives at once, in whole
// records.
Status LogCopy::fill() {
  std::uint64_t first = 0;
  store::Head head = log_.head();
  const auto bytes = leaders_run(head.sequence + 1, fill_to_, first);
  if (!bytes) return tl::unexpected(bytes.error());
  std::vector<store::Record> records;
  bool parted = false;
  const Status walked = store::for_each_in_run(
      first, *bytes,
      [&](const store::Record& record, std::span<const std::byte>) {
        parted = parted || record.first_sequence != head.sequence + 1 ||
                 store::chain_hash(head.hash, record) != record.hash;
        if (parted) return;
        records.push_back(record);
        head = store::head_of(record);
      });
  if (auto kept = keep(records); !kept) return kept;
  if (!walked) return walked;
  return parted ? find_parting(log_.head().sequence) : Status();
}

// The logs part at or before event `before`, and the stream does not have the
// place: it is halved for in the leader's log. The hash of a record stands for
// all before it.
Status LogCopy::find_parting(std::uint64_t before) {
  std::uint64_t agreed = 0;
  std::uint64_t epoch = 0;  // of the leader's first record that is not here
  while (agreed < before) {
    const std::uint64_t middle = agreed + (before - agreed + 1) / 2;
    std::uint64_t first = 0;
    const auto bytes = leaders_run(middle, middle, first);
    if (!bytes) return tl::unexpected(bytes.error());
    std::optional<store::Head> theirs;
    const Status walked = store::for_each_in_run(
        first, *bytes,
        [&](const store::Record& record, std::span<const std::byte>) {
          if (!theirs) theirs = store::head_of(record);
        });
    if (!walked) return walked;
    if (!theirs || first > middle || theirs->sequence < middle)
      return fail(Errc::damaged,
                  fmt::format("the leader gave another commit than that of "
                              "event {}",
                              middle));
    bool same = false;
    if (theirs->sequence <= log_.head().sequence) {
      const auto ours = reader_->record_end(middle);
      if (!ours) return tl::unexpected(ours.error());
      same = *ours == *theirs;
    }
    if (same) {
      agreed = theirs->sequence;
    } else {
      before = first - 1;
      epoch = theirs->epoch;
    }
  }
  if (agreed == 0)
    return fail(Errc::damaged,
                "the log here and the cell's have no event in common: it is of "
                "another cell. Stop this manager, move its log directory away "
                "and start it: it fetches the cell's log");
  divergence_ = Divergence{
      agreed + 1,
      fmt::format("from event {} on the cell's log, which goes on in epoch {}, "
                  "is not the one here: the other managers never had what is "
                  "here, or have gone on with a restored log",
                  agreed + 1, epoch)};
  return {};
}

// ---- leading

Expected<LogCopy::Leading> LogCopy::publish(const bus::RecordId& id,
                                            bus::Bytes value,
                                            const std::atomic<bool>& stop) {
  using Kind = bus::StreamOutcome::Kind;
  if (auto sent = stream_.begin(id, value); !sent)
    return tl::unexpected(sent.error());
  while (!stop) {
    const auto outcome = stream_.wait(publish_wait);
    if (outcome.kind == Kind::stored) {
      extended_ = true;
      in_stream_ = id.last_sequence;
      return Leading{Led::led, {}};
    }
    if (outcome.kind == Kind::fenced)
      return Leading{extended_ ? Led::fenced : Led::moved,
                     record_text(outcome)};
    if (outcome.kind == Kind::shortened) {
      placed_ = false;
      return Leading{extended_ ? Led::shortened : Led::moved, {}};
    }
  }
  return Leading{Led::stopped, {}};
}

Expected<LogCopy::Leading> LogCopy::publish_tail(
    const std::atomic<bool>& stop) {
  Expected<Leading> done = Leading{Led::led, {}};
  const std::uint64_t head = log_.head().sequence;
  if (in_stream_ >= head) return done;
  const Status scanned =
      reader_->scan(in_stream_ + 1, head, [&](const store::Record& record) {
        if (record.last_sequence() <= in_stream_) return true;
        done = publish({record.epoch, record.last_sequence()},
                       value_of(store::record_header(record), record.events),
                       stop);
        return done && done->outcome == Led::led;
      });
  if (!scanned) return tl::unexpected(scanned.error());
  return done;
}

Expected<LogCopy::Leading> LogCopy::lead(const First& first,
                                         const std::atomic<bool>& stop) {
  extended_ = false;
  stream_.lead_after(stream_.next_sequence() - 1,
                     store::text_of(reader_->log_id()));
  std::optional<Tail> tail;
  if (const store::Head head = log_.head(); in_stream_ < head.sequence)
    tail = Tail{in_stream_ + 1, head.sequence, head.epoch};
  auto done = publish_tail(stop);
  if (!done || done->outcome != Led::led) return done;
  const manager::Batch batch = first(tail);
  const store::Head before = log_.head();
  const auto value = value_of(
      store::make_record_header(before.hash, batch.first.value,
                                batch.epoch.value, batch.count, batch.events),
      batch.events);
  const auto aligned = bus::Buffer::copy(value);
  done = publish({batch.epoch.value, batch.first.value + batch.count - 1},
                 aligned, stop);
  if (!done || done->outcome != Led::led) return done;
  const auto record = store::parse_record(batch.first.value, aligned);
  if (!record) return tl::unexpected(record.error());
  if (auto kept = keep(std::span(&*record, 1)); !kept)
    return tl::unexpected(kept.error());
  return done;
}

}  // namespace reeve::member
