# Text files as string constants inside a program.
#
# reeve_embed(TARGET HEADER name=file...): adds to TARGET a source that defines
# the `std::string_view NAME` that HEADER declares, one for each file. Several
# files of one name, joined by "+", become one text.
if(CMAKE_SCRIPT_MODE_FILE AND NOT DEFINED PROJECT_NAME)
  set(text "#include \"${HEADER}\"\n\nnamespace reeve::tools {\n\n")
  separate_arguments(parts UNIX_COMMAND "${PARTS}")
  foreach(part IN LISTS parts)
    string(REGEX MATCH "^([^=]*)=(.*)$" found "${part}")
    set(name ${CMAKE_MATCH_1})
    string(REPLACE "+" ";" files "${CMAKE_MATCH_2}")
    string(APPEND text "const std::string_view ${name} =\n")
    foreach(file IN LISTS files)
      file(READ "${file}" content)
      string(FIND "${content}" ")reeve\"" clash)
      if(NOT clash EQUAL -1)
        message(FATAL_ERROR "${file} holds the end mark of a raw string")
      endif()
      string(APPEND text "R\"reeve(${content})reeve\"\n")
    endforeach()
    string(APPEND text ";\n\n")
  endforeach()
  file(WRITE "${OUT}" "${text}}  // namespace reeve::tools\n")
  return()
endif()

function(reeve_embed target header)
  set(parts "")
  set(depends ${CMAKE_SOURCE_DIR}/cmake/embed.cmake)
  foreach(part IN LISTS ARGN)
    string(REGEX MATCH "^([^=]*)=(.*)$" found "${part}")
    set(name ${CMAKE_MATCH_1})
    string(REPLACE "+" ";" files "${CMAKE_MATCH_2}")
    list(TRANSFORM files PREPEND ${CMAKE_SOURCE_DIR}/)
    list(APPEND depends ${files})
    string(REPLACE ";" "+" joined "${files}")
    string(APPEND parts " ${name}=${joined}")
  endforeach()
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${target}_embedded.cpp)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} "-DHEADER=${header}" "-DPARTS=${parts}"
            -DOUT=${out} -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${depends} VERBATIM)
  target_sources(${target} PRIVATE ${out})
  set_source_files_properties(${out} PROPERTIES
    SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
