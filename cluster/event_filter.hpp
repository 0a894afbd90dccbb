// Which events a person wants to see. Pure; judges an event by what it says
// itself.
//
//   expression = term { "and" term }
//   term       = key ( "=" | "!=" ) value { "," value }
//
// Keys: session (s-12), kind (session_placed), node (its name or number), user,
// principal, reason (memory_limit), state (failed). A term with several values
// holds when one of them does. An event that does not speak of the key's
// subject fails a "=" term and passes a "!=" one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::schema {
struct Event;
}

namespace reeve {

class EventFilter {
 public:
  // The empty expression lets everything pass. An error points at the spot.
  static Expected<EventFilter> parse(std::string_view expression);

  // Events come in the order of the log: node and user names are learned from
  // the ones that tell them, so later ones can be judged by name.
  bool passes(const schema::Event& event);

  // Names a node that was registered before the first event to come.
  void know_node(std::uint32_t node, std::string name);

  // Whether names of nodes matter to it.
  bool names_nodes() const;
  bool empty() const { return terms_.empty(); }
  // The one session that the filter is about; 0 when there are more or none.
  std::uint64_t only_session() const;

 private:
  enum class Key { session, kind, node, user, principal, reason, state };
  struct Term {
    Key key;
    bool negated;
    std::vector<std::string> values;
  };

  static Expected<Term> parse_term(std::string_view expression,
                                   std::size_t& at);
  static Status check_values(std::string_view expression, std::size_t at,
                             Term& term);
  void learn(const schema::Event& event);
  bool holds(const Term& term, const schema::Event& event) const;
  bool about_node(const Term& term, const schema::Event& event) const;
  bool names_node(const Term& term, std::uint32_t node) const;

  std::vector<Term> terms_;
  bool learns_ = false;
  std::unordered_map<std::uint32_t, std::string> node_names_;
  std::unordered_map<std::uint64_t, std::string> session_users_;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> placed_on_;
};

// What an event tells of these subjects; 0 or none when it does not.
std::uint64_t session_of(const schema::Event& event);

// "session_placed"; empty for a kind that this program does not know.
std::string_view kind_of(const schema::Event& event);

}  // namespace reeve
