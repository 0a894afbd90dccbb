#include "tests/sim/planted.hpp"

#ifdef REEVE_PLANTS

#include <fmt/core.h>

#include <optional>

#include "cluster/plant.hpp"
#include "tests/sim/cell.hpp"
#include "tests/sim/saboteur.hpp"

namespace reeve {

Plant chosen_plant = Plant::none;

namespace sim {
namespace {

constexpr const char* plant_names[] = {"none",
                                       "sync_skipped",
                                       "epoch_unchecked",
                                       "release_twice",
                                       "repeat_executed",
                                       "given_up_early",
                                       "snapshot_off_by_one"};

const PlantedBug* chosen_bug = nullptr;
std::optional<Saboteur> saboteur;

}  // namespace

bool choose_plant(const std::string& name) {
  for (std::size_t i = 0; i < std::size(plant_names); ++i)
    if (name == plant_names[i]) chosen_plant = static_cast<Plant>(i);
  chosen_bug = planted_bug(name);
  if (chosen_bug) saboteur.emplace(*chosen_bug);
  return chosen_bug || chosen_plant != Plant::none;
}

bool is_of_use(std::uint64_t seed) {
  Random random(seed);
  const Plan plan = draw_plan(random);
  if (planted(Plant::epoch_unchecked)) return plan.deposed_every_ns != 0;
  return !chosen_bug || !chosen_bug->needs || plan.*chosen_bug->needs;
}

void plant_bug(Cell& cell) {
  if (saboteur) cell.world().meddler = &*saboteur;
}

Saboteur* planted_saboteur() {
  return saboteur ? &*saboteur : nullptr;
}

bool settles(const std::string& why) {
  return !why.empty() &&
         (!chosen_bug || why.find(chosen_bug->words) != why.npos);
}

// It has to be found, by the sentence that speaks of it; but for what the
// manager refuses: nothing comes of that.
int verdict_of(const std::string& why) {
  if (chosen_bug && chosen_bug->bug == Bug::any_refused) {
    const std::string missing = saboteur->unrefused();
    if (missing.empty() && why.empty()) {
      fmt::print("all was refused, and nothing came of it\n");
      return 0;
    }
    fmt::print("never refused:{}\n", missing.empty() ? " -" : missing);
    return 1;
  }
  const bool found = settles(why);
  fmt::print("the planted bug was {}\n", found ? "found"
                                         : why.empty()
                                             ? "NOT FOUND"
                                             : "NOT FOUND, but another");
  return found ? 0 : 1;
}

}  // namespace sim
}  // namespace reeve

#else

namespace reeve::sim {

bool choose_plant(const std::string&) {
  return false;
}

bool is_of_use(std::uint64_t) {
  return true;
}

void plant_bug(Cell&) {}

bool settles(const std::string& why) {
  return !why.empty();
}

int verdict_of(const std::string& why) {
  return why.empty() ? 0 : 1;
}

}  // namespace reeve::sim

#endif
