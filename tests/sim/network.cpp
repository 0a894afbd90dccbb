#include "tests/sim/network.hpp"

#include <algorithm>

namespace reeve::sim {

End Network::attach(std::string name, Handler handler) {
  ends_.push_back({std::move(name), std::move(handler)});
  return static_cast<End>(ends_.size() - 1);
}

const Network::Cut* Network::cut_now(End from, End to) const {
  const auto found = cut_.find({from, to});
  const bool is_cut = found != cut_.end() && loop_.now() < found->second.until;
  return is_cut ? &found->second : nullptr;
}

void Network::heal() {
  faults_ = false;
  cut_.clear();
}

void Network::send(End from, End to, Packet packet) {
  packet.from = from;
  const Cut* cut = cut_now(from, to);
  if (cut && cut->sent == Meanwhile::lost) return;
  if (faults_ && random_.chance(plan_.lost_ppm)) {
    probes_.hit(Probe::message_lost);
    return;
  }
  carry(from, to, packet);
  if (faults_ && random_.chance(plan_.doubled_ppm)) {
    probes_.hit(Probe::message_doubled);
    carry(from, to, packet);
  }
}

void Network::carry(End from, End to, const Packet& packet) {
  Time arrival{loop_.now().value + random_.between(1, plan_.latency_ns_max)};
  if (faults_ && random_.chance(plan_.late_ppm)) {
    probes_.hit(Probe::message_late);
    arrival.value += random_.spread(ms_ns, plan_.delay_ns_max);
  } else {
    Time& last = last_arrival_[{from, to}];
    arrival = last = std::max(arrival, last);
  }
  arrive(from, to, packet, arrival);
}

// A connection that stands still keeps the order of what it holds.
void Network::arrive(End from, End to, const Packet& packet, Time at) {
  loop_.at(at, [this, from, to, packet] {
    const Cut* cut = cut_now(from, to);
    if (!cut) return ends_[index(to)].handler(packet);
    if (cut->sent == Meanwhile::lost) return;
    probes_.hit(Probe::message_held);
    Time& last = last_arrival_[{from, to}];
    last = std::max(last, cut->until);
    arrive(from, to, packet, last);
  });
}

}  // namespace reeve::sim
