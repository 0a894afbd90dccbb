// Tells the thread sanitizer what it cannot see: that the bus library, which
// is not instrumented, calls back after we handed it an object. Nothing in
// other builds.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REEVE_THREAD_SANITIZER
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define REEVE_THREAD_SANITIZER
#endif

#ifdef REEVE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace reeve::bus {

// Before the library gets `object`.
inline void hand_over([[maybe_unused]] void* object) {
#ifdef REEVE_THREAD_SANITIZER
  __tsan_release(object);
#endif
}

// First in the callback that gets it back.
inline void take_over([[maybe_unused]] void* object) {
#ifdef REEVE_THREAD_SANITIZER
  __tsan_acquire(object);
#endif
}

}  // namespace reeve::bus
