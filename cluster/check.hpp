// Assertions that stay on in release builds. A broken invariant stops the
// process with the sentence and the numbers in it: going on would write the
// damage into the log.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace reeve {

[[noreturn]] inline void check_failed(const char* file, int line,
                                      const char* condition,
                                      const std::string& text) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s: %s\n", file, line,
               condition, text.c_str());
  std::abort();
}

}  // namespace reeve

// REEVE_CHECK(condition, text): `text` is built only on failure.
#define REEVE_CHECK(condition, text)                                 \
  do {                                                               \
    if (!(condition)) [[unlikely]]                                   \
      ::reeve::check_failed(__FILE__, __LINE__, #condition, (text)); \
  } while (false)
