// Where a test program was built, and from what. Told by one file of all, so
// that equal test sources compile to equal objects in every checkout.
#pragma once

#include <string>

namespace reeve::testing {

std::string source_dir();
std::string binary_dir();

}  // namespace reeve::testing
