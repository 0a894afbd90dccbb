#include "tools/program.hpp"

namespace reeve::tools {

const cluster::Program& this_program() {
  static const cluster::Program program{
      REEVE_VERSION, {cluster::protocol_number, cluster::protocol_oldest}};
  return program;
}

}  // namespace reeve::tools
