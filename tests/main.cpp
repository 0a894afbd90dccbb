// The entry point of every test program.
#define BOOST_TEST_MODULE reeve
#include <boost/test/unit_test.hpp>

#include "tests/paths.hpp"

namespace reeve::testing {

std::string source_dir() {
  return REEVE_SOURCE_DIR;
}
std::string binary_dir() {
  return REEVE_BINARY_DIR;
}

}  // namespace reeve::testing
