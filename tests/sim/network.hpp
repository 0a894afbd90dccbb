// The virtual bus. Between two ends messages keep their order, unless one is
// late; each may be lost, doubled or late, and ends may be cut off from each
// other, in both directions or one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/loop.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/probes.hpp"
#include "tests/sim/random.hpp"

namespace reeve::sim {

enum class End : std::uint32_t {};

struct Packet {
  enum class Kind {
    command,
    reply,
    order,
    heartbeat,
    query,
    read,
    chunk,
    event
  };
  Kind kind = Kind::command;
  End from{};
  std::string principal;
  std::string reply_to;  // names the question to who asked
  std::shared_ptr<const std::vector<std::byte>> bytes;
};

class Network {
 public:
  using Handler = std::function<void(const Packet&)>;

  Network(Loop& loop, Random& random, const Plan& plan, Probes& probes)
      : loop_(loop), random_(random), plan_(plan), probes_(probes) {}

  End attach(std::string name, Handler handler);
  void send(End from, End to, Packet packet);

  // Nothing passes from one to the other until then. What is sent meanwhile
  // comes when it is over, if the connection outlives it, or never.
  enum class Meanwhile { lost, held };
  void cut(End from, End to, Time until, Meanwhile sent) {
    cut_[{from, to}] = {until, sent};
  }
  // No faults from now on; what is under way arrives.
  void heal();
  const std::string& name(End end) const { return ends_[index(end)].name; }

 private:
  struct Cut {
    Time until;
    Meanwhile sent = Meanwhile::lost;
  };
  struct Attached {
    std::string name;
    Handler handler;
  };
  static std::size_t index(End end) { return static_cast<std::size_t>(end); }
  const Cut* cut_now(End from, End to) const;
  void carry(End from, End to, const Packet& packet);
  void arrive(End from, End to, const Packet& packet, Time at);

  Loop& loop_;
  Random& random_;
  const Plan& plan_;
  Probes& probes_;
  bool faults_ = true;
  std::vector<Attached> ends_;
  std::map<std::pair<End, End>, Cut> cut_;
  std::map<std::pair<End, End>, Time> last_arrival_;
};

}  // namespace reeve::sim
