// As whom a session for another user runs: as their account in the cell says;
// without one, as the user of this name on this host.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "cluster/error.hpp"
#include "tools/cli/session/submission.hpp"

namespace reeve::tools {

class Cell;

// A simulated session of somebody who is not known here belongs to nobody's
// user id; it runs nothing.
inline constexpr std::uint32_t nobody_uid = 65'534;

class People {
 public:
  explicit People(Cell& cell) : cell_(cell) {}

  // Errc::not_found when neither cell nor host knows them, and something is to
  // run.
  Expected<Person> named(const std::string& name, bool simulated);
  // Whose the submission is, if that is not the user of this host.
  Status settle(Submission& submission, const Surroundings& here);

 private:
  Expected<Person> find(const std::string& name, bool simulated);

  Cell& cell_;
  std::map<std::pair<std::string, bool>, Person> known_;
};

}  // namespace reeve::tools
