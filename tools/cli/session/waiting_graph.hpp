// What waits for what, as a tree or for Graphviz. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "schema/types_generated.h"

namespace reeve::tools {

class WaitingGraph {
 public:
  struct Session {
    std::string name;
    schema::SessionState state = schema::SessionState::pending;
    std::vector<schema::Dependency> after;
  };

  void add(std::uint64_t id, Session session);

  // One session in the middle: first what it waits for, then what waits for
  // it. `id` 0: every session that something waits for and that itself waits
  // for none, with what waits for it below.
  std::string tree(std::uint64_t id) const;
  std::string dot(std::uint64_t id) const;

  bool empty() const { return sessions_.empty(); }

 private:
  struct Edge {
    std::uint64_t session;
    schema::DependencyKind kind;
  };
  enum class Toward : std::uint8_t { causes, waiting };
  struct Walk;

  std::vector<Edge> edges(std::uint64_t id, Toward toward) const;
  void branch(std::string& out, const std::string& indent, std::uint64_t id,
              Walk& walk) const;
  std::string line(std::uint64_t id) const;

  std::map<std::uint64_t, Session> sessions_;
  std::map<std::uint64_t, std::vector<Edge>> waiting_;
};

}  // namespace reeve::tools
