# Warnings, sanitizers and the environment that tests run in.
set(REEVE_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize takes them")

set(host_languages $<COMPILE_LANGUAGE:C,CXX>)
set(warnings -Wall -Wextra -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees overlaps in std::string's operator+ that are not there, and
  # members of a variant's other alternatives.
  list(APPEND warnings -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # What is one file's own is in the place of a header's there.
  list(APPEND warnings -Wno-subobject-linkage)
endif()
if(REEVE_SANITIZE)
  # The checks that sanitizers insert make these two guess wrong.
  list(APPEND warnings -Wno-maybe-uninitialized)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND warnings -Wno-stringop-overflow -Wno-tsan)
  endif()
endif()
add_compile_options("$<${host_languages}:${warnings}>"
                    $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
                    $<${host_languages}:-fno-omit-frame-pointer>)

if(REEVE_SANITIZE)
  # A suppression works on checks that may go on; UBSAN_OPTIONS stops at the
  # rest of them.
  set(sanitizers -fsanitize=${REEVE_SANITIZE} -fno-sanitize-recover=all)
  if(REEVE_SANITIZE MATCHES "undefined")
    list(APPEND sanitizers -fsanitize-recover=null)
  endif()
  add_compile_options("$<${host_languages}:${sanitizers}>")
  add_link_options(-fsanitize=${REEVE_SANITIZE})
endif()

# What each test finds in its environment. Reports go to standard error and
# end the process with 66, which no test expects.
set(supp ${CMAKE_SOURCE_DIR}/tests/sanitizers)
set(REEVE_TEST_ENVIRONMENT "")
if(REEVE_SANITIZE MATCHES "address")
  list(APPEND REEVE_TEST_ENVIRONMENT
    "ASAN_OPTIONS=exitcode=66:detect_stack_use_after_return=1"
    "LSAN_OPTIONS=exitcode=66:suppressions=${supp}/lsan.supp")
endif()
if(REEVE_SANITIZE MATCHES "undefined")
  set(ubsan "halt_on_error=1:exitcode=66:print_stacktrace=1")
  list(APPEND REEVE_TEST_ENVIRONMENT
    "UBSAN_OPTIONS=${ubsan}:suppressions=${supp}/ubsan.supp")
endif()
if(REEVE_SANITIZE MATCHES "thread")
  set(tsan "exitcode=66:ignore_noninstrumented_modules=1:history_size=4")
  list(APPEND REEVE_TEST_ENVIRONMENT
    "TSAN_OPTIONS=${tsan}:suppressions=${supp}/tsan.supp")
endif()

# Instrumented code is slow; a test's limit grows with it.
set(REEVE_TIMEOUT_FACTOR 1)
if(REEVE_SANITIZE)
  set(REEVE_TIMEOUT_FACTOR 5)
endif()
