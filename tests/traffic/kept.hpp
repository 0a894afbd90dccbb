// What the programs of an earlier release said to each other, as record.py
// kept it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/state.hpp"
#include "schema/wire.hpp"

namespace reeve::traffic {

struct Message {
  // After reeve.<cell>.; "reply" and "answer" go to the inbox of who asked.
  std::string subject;
  std::vector<std::uint64_t> words;  // its bytes, aligned
  std::size_t size = 0;

  schema::Bytes bytes() const;
  // "cmd", "evt", "agent", ...
  std::string_view kind() const;
  // Of the subject, from 0; empty: it has fewer.
  std::string_view token(std::size_t index) const;
  // Null where it is no such message.
  template <class Table>
  const Table* as() const {
    return schema::verified<Table>(bytes());
  }
};

struct Kept {
  std::filesystem::path folder;
  std::vector<Message> messages;  // in the order of the bus
  std::string digest;             // of the state at the end of the log

  // The events of its log, in order.
  void each_event(const std::function<void(const schema::Event&)>& visit) const;
  // Before this event.
  cluster::State state_before(std::uint64_t sequence) const;
};

// Of each release that is kept; at least one.
const std::vector<Kept>& all_kept();

inline std::ostream& operator<<(std::ostream& out, const Kept& kept) {
  return out << kept.folder.filename();
}

}  // namespace reeve::traffic
