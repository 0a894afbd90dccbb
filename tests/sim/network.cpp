#include "tests/sim/network.hpp"

#include <algorithm>

namespace reeve::sim {

End Network::attach(std::string name, Handler handler) {
  ends_.push_back({std::move(name), std::move(handler)});
  return static_cast<End>(ends_.size() - 1);
}

bool Network::is_cut(End from, End to) const {
  const auto found = cut_.find({from, to});
  return found != cut_.end() && loop_.now() < found->second;
}

void Network::heal() {
  faults_ = false;
  cut_.clear();
}

void Network::send(End from, End to, Packet packet) {
  packet.from = from;
  if (is_cut(from, to)) return;
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
  loop_.at(arrival, [this, from, to, packet] {
    if (!is_cut(from, to)) ends_[index(to)].handler(packet);
  });
}

}  // namespace reeve::sim
