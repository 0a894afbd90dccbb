// Whether nodes that take so many tasks each serve a whole session, kept up to
// date as they change.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cluster/scheduling/request.hpp"

namespace reeve::cluster::scheduling {

class GangRoom {
 public:
  // Of one node: so many, where there were so many before (0: not counted).
  void change(const Request& request, std::uint32_t before, std::uint32_t now) {
    const auto each = request.tasks / std::max(request.nodes, 1U);
    total_ += now;
    total_ -= before;
    either_ += (now > 0 && now >= each) - (before > 0 && before >= each);
    larger_ += (now > each) - (before > each);
  }

  bool enough(const Request& request) const {
    if (request.nodes == 0) return total_ >= request.tasks;
    return either_ >= std::int64_t{request.nodes} &&
           larger_ >= std::int64_t{request.tasks % request.nodes};
  }

 private:
  std::uint64_t total_ = 0;
  std::int64_t either_ =
      0;  // nodes that take the smaller part of a spread gang
  std::int64_t larger_ = 0;  // or the larger
};

// How many tasks start at most on nodes that take so many each, spread as the
// request asks.
inline std::uint32_t tasks_on(std::vector<std::uint32_t> rooms,
                              const Request& request) {
  std::sort(rooms.begin(), rooms.end(), std::greater<>());
  if (request.nodes > 0 && rooms.size() > request.nodes)
    rooms.resize(request.nodes);
  std::uint32_t fitting = 0;
  for (std::uint32_t i = 0; i < rooms.size(); ++i) {
    auto most = request.tasks - fitting;
    if (request.nodes > 0)
      most = request.tasks / request.nodes +
             (i < request.tasks % request.nodes ? 1 : 0);
    fitting += std::min(rooms[i], most);
  }
  return fitting;
}

// The same as GangRoom by places, where all tasks have to be in one of them.
class GangRooms {
 public:
  explicit GangRooms(const Request& request) : request_(request) {}

  void change(const std::string& place, std::uint32_t before,
              std::uint32_t now) {
    if (before == now) return;
    auto& room = places_[place];
    enough_ -= room.enough(request_) ? 1 : 0;
    room.change(request_, before, now);
    enough_ += room.enough(request_) ? 1 : 0;
  }

  bool enough() const { return enough_ > 0; }

 private:
  const Request& request_;
  std::map<std::string, GangRoom> places_;
  std::int64_t enough_ = 0;
};

}  // namespace reeve::cluster::scheduling
