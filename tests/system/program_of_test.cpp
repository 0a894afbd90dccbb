// In the place of tools/program.cpp: the program says of itself what
// REEVE_TEST_PROGRAM does, "VERSION PROTOCOL OLDEST".
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "tools/program.hpp"

namespace reeve::tools {

const cluster::Program& this_program() {
  static const cluster::Program program = [] {
    const char* text = std::getenv("REEVE_TEST_PROGRAM");
    std::istringstream words(text ? text : "");
    cluster::Program told;
    std::uint32_t number = 0;
    std::uint32_t oldest = 0;
    if (!(words >> told.version >> number >> oldest)) {
      std::fputs("REEVE_TEST_PROGRAM is not VERSION PROTOCOL OLDEST\n", stderr);
      std::exit(1);
    }
    told.protocol = schema::Protocol{number, oldest};
    return told;
  }();
  return program;
}

}  // namespace reeve::tools
