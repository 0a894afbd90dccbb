// The bug that a run has to find: of the cores (cluster/plant.hpp) or between
// them (saboteur.hpp). Without REEVE_PLANTS there is none.
#pragma once

#include <cstdint>
#include <string>

namespace reeve::sim {

class Cell;
class Saboteur;

// False: there is none of that name.
bool choose_plant(const std::string& name);
// Whether a cell with this seed may come by what the bug is about.
bool is_of_use(std::uint64_t seed);
// Into a cell that is about to run.
void plant_bug(Cell& cell);
// Whether a run that ended so leaves nothing to ask further seeds: a planted
// bug may show by another sentence first than the one that is to be found.
bool settles(const std::string& why);
// The exit code of a run; `why` it failed, empty: it did not.
int verdict_of(const std::string& why);

// Null: the bug is not one of its.
Saboteur* planted_saboteur();

}  // namespace reeve::sim
