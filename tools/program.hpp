// Which program this is: a program of tests may say that it is another.
#pragma once

#include "cluster/program.hpp"

namespace reeve::tools {

const cluster::Program& this_program();

}  // namespace reeve::tools
