#include "tests/sim/watcher.hpp"

#include "schema/wire.hpp"
#include "store/record.hpp"

namespace reeve::sim {
namespace {

constexpr std::uint64_t ask_every_ns = 10 * second_ns;

}  // namespace

Watcher::Watcher(World& world)
    : world_(world),
      end_(world.network.attach(
          "watcher", [this](const Packet& packet) { receive(packet); })),
      feed_(1) {
  world.watcher = end_;
}

void Watcher::begin() {
  ask();
  world_.loop.after(std::max(ask_every_ns, world_.tick_ns),
                    [this] { begin(); });
}

// The head, or what is missing up to it.
void Watcher::ask() {
  const auto missing = feed_.missing();
  flatbuffers::FlatBufferBuilder builder;
  const auto bytes = schema::finish(
      builder, schema::CreateLogRead(builder, missing ? missing->from : 0,
                                     missing ? missing->to : 0));
  world_.network.send(end_, world_.daemon,
                      {Packet::Kind::read,
                       end_,
                       {},
                       {},
                       std::make_shared<const std::vector<std::byte>>(
                           bytes.begin(), bytes.end())});
}

void Watcher::receive(const Packet& packet) {
  if (packet.kind == Packet::Kind::event) return offer(*packet.bytes);
  const auto* chunk = schema::verified<schema::LogChunk>(*packet.bytes);
  SIM_CHECK(chunk && !chunk->error(), "a range of the log is refused");
  feed_.note_head(chunk->head_seq());
  if (chunk->count() == 0) {
    if (feed_.missing()) ask();
    return;
  }
  world_.probes.hit(Probe::gap_filled);
  const std::span events(
      reinterpret_cast<const std::byte*>(chunk->events()->data()),
      chunk->events()->size());
  const Status walked = store::for_each_event(
      events, [this](std::span<const std::byte> event) { offer(event); });
  SIM_CHECK(walked, "{}", walked.error().text);
}

void Watcher::offer(std::span<const std::byte> bytes) {
  const auto buffer = bus::Buffer::copy(bytes);
  const schema::Event* event = schema::verified_event(buffer);
  SIM_CHECK(event, "an event on the bus fails verification");
  std::vector<bus::Buffer> ready;
  feed_.offer(event->seq(), buffer, ready);
  for (const bus::Buffer& one : ready) {
    const std::uint64_t sequence = schema::event_of(one).seq();
    SIM_CHECK(sequence == seen_ + 1, "event {} is told after event {}",
              sequence, seen_);
    SIM_CHECK(sequence <= world_.oracle.truth().last_sequence().value,
              "event {} is told before it is durable", sequence);
    seen_ = sequence;
  }
}

std::string Watcher::unrest() const {
  const std::uint64_t head = world_.oracle.truth().last_sequence().value;
  if (seen_ == head) return {};
  return fmt::format("a watcher has seen {} of {} events", seen_, head);
}

}  // namespace reeve::sim
