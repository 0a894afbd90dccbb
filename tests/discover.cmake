# Lists the cases of a Boost.Test program after it is linked and makes each a
# ctest. Included by the top CMakeLists.txt; the same file, run as a script,
# writes the list.
if(CMAKE_SCRIPT_MODE_FILE AND NOT DEFINED PROJECT_NAME)
  cmake_policy(VERSION 3.25)
  execute_process(COMMAND ${PROGRAM} --list_content=HRF
                  ERROR_VARIABLE listing OUTPUT_QUIET RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} --list_content failed: ${listing}")
  endif()
  string(REPLACE "\n" ";" lines "${listing}")
  string(REPLACE "|" ";" LABELS "${LABELS}")
  string(REPLACE "|" ";" ENVIRONMENT "${ENVIRONMENT}")
  set(path "")
  set(text "")
  set(pending "")
  set(pending_depth -1)
  set(suites "")
  macro(emit)
    string(APPEND text "add_test([==[${NAME}/${pending}]==] [==[${PROGRAM}]==] "
      "[==[--run_test=${pending}]==] --report_level=no --color_output=no "
      "--catch_system_errors=no)\n"
      "set_tests_properties([==[${NAME}/${pending}]==] PROPERTIES "
      "LABELS [==[${LABELS}]==] TIMEOUT ${TIMEOUT} RUN_SERIAL ${SERIAL} "
      "ENVIRONMENT [==[${ENVIRONMENT}]==])\n")
  endmacro()
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^( *)([A-Za-z0-9_<>]+)\\*?")
      continue()
    endif()
    set(indent "${CMAKE_MATCH_1}")
    set(unit "${CMAKE_MATCH_2}")
    string(LENGTH "${indent}" width)
    math(EXPR depth "${width} / 4")
    if(pending_depth GREATER_EQUAL depth)
      emit()
    endif()
    if(pending_depth GREATER_EQUAL 0 AND depth GREATER pending_depth)
      set(suite_${pending_depth} "${pending}")
    endif()
    set(pending "${unit}")
    if(depth GREATER 0)
      math(EXPR up "${depth} - 1")
      set(pending "${suite_${up}}/${unit}")
    endif()
    set(pending_depth ${depth})
  endforeach()
  if(pending_depth GREATER_EQUAL 0)
    emit()
  endif()
  file(WRITE ${OUT} "${text}")
  return()
endif()

function(reeve_discover_tests target labels timeout serial)
  if(NOT timeout)
    set(timeout 120)
  endif()
  if(NOT serial)
    set(serial OFF)
  endif()
  math(EXPR timeout "${timeout} * ${REEVE_TIMEOUT_FACTOR}")
  # Lists pass through a command line with another separator.
  string(REPLACE ";" "|" labels "${labels}")
  string(REPLACE ";" "|" environment "${REEVE_TEST_ENVIRONMENT}")
  set(list ${CMAKE_BINARY_DIR}/tests/${target}.cmake)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${target}>
            -DNAME=${target} "-DLABELS=${labels}" -DTIMEOUT=${timeout}
            -DSERIAL=${serial} "-DENVIRONMENT=${environment}"
            -DOUT=${list}
            -P ${CMAKE_SOURCE_DIR}/tests/discover.cmake
    BYPRODUCTS ${list} VERBATIM)
  # A change of limits, labels or of this script lists the cases again.
  set(settings ${CMAKE_BINARY_DIR}/tests/${target}.settings)
  file(CONFIGURE OUTPUT ${settings} CONTENT
    "${labels} ${timeout} ${serial} ${environment}\n")
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS
    "${settings};${CMAKE_SOURCE_DIR}/tests/discover.cmake")
  file(WRITE ${CMAKE_BINARY_DIR}/tests/${target}_include.cmake
    "if(EXISTS [==[${list}]==])\n  include([==[${list}]==])\nelse()\n"
    "  add_test(${target}_NOT_BUILT ${target}_NOT_BUILT)\nendif()\n")
  set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY TEST_INCLUDE_FILES
    ${CMAKE_BINARY_DIR}/tests/${target}_include.cmake)
endfunction()
