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
// The exit code of a run; `why` it failed, empty: it did not.
int verdict_of(const std::string& why);

// Null: the bug is not one of its.
Saboteur* planted_saboteur();

}  // namespace reeve::sim
