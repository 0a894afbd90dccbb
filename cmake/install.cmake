# What `cmake --install` and the Debian package put where. Programs look for
# each other beside their own file, so all of them lie in lib/reeve, and bin
# has a link. Nothing here is built by an install: build `reeve_installed`
# first (deploy/package and deploy/install-dev do).
include(GNUInstallDirs)
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)

set(programs reeve reeved reeve-keeper reeve-log reeve-gpu-report
  reeve-gpu-share-run)
if(TARGET reeve-gpu-probe)
  list(APPEND programs reeve-gpu-probe)
endif()
set(programs_place lib/reeve)
install(TARGETS ${programs} RUNTIME DESTINATION ${programs_place}
  COMPONENT programs)
# Into the programs of all users, so it needs no permission to execute.
install(TARGETS reeve-gpu-share LIBRARY DESTINATION ${programs_place}
  PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ COMPONENT programs)

set(made ${CMAKE_BINARY_DIR}/install)
file(MAKE_DIRECTORY ${made})
file(CREATE_LINK ../${programs_place}/reeve ${made}/reeve SYMBOLIC)
install(FILES ${made}/reeve DESTINATION ${CMAKE_INSTALL_BINDIR}
  COMPONENT programs)

# Under sanitizers the exit code must not depend on what libraries leave.
set(completions "")
foreach(pair bash|reeve.bash zsh|_reeve fish|reeve.fish)
  string(REPLACE "|" ";" pair ${pair})
  list(GET pair 0 shell)
  list(GET pair 1 file)
  add_custom_command(OUTPUT ${made}/${file}
    COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0
      $<TARGET_FILE:reeve> completion ${shell} > ${made}/${file}
    DEPENDS reeve VERBATIM)
  list(APPEND completions ${made}/${file})
endforeach()
install(FILES ${made}/reeve.bash RENAME reeve COMPONENT programs
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${made}/_reeve COMPONENT programs
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${made}/reeve.fish COMPONENT programs
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# Not CONFIGURE_DEPENDS: ninja would never say again that nothing is to be done.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/changes)
file(GLOB fragments ${CMAKE_SOURCE_DIR}/changes/*.md)
add_custom_command(OUTPUT ${made}/CHANGELOG.md
  COMMAND ${CMAKE_COMMAND} -D SOURCE=${CMAKE_SOURCE_DIR}
    -D OUTPUT=${made}/CHANGELOG.md -P ${CMAKE_SOURCE_DIR}/cmake/changelog.cmake
  DEPENDS ${CMAKE_SOURCE_DIR}/CHANGELOG.md ${fragments}
    ${CMAKE_SOURCE_DIR}/cmake/changelog.cmake VERBATIM)

set(pages ${CMAKE_INSTALL_DATADIR}/doc/reeve)
install(FILES LICENSE RENAME copyright DESTINATION ${pages}
  COMPONENT programs)
install(FILES README.md ${made}/CHANGELOG.md DESTINATION ${pages}
  COMPONENT programs)
install(DIRECTORY docs DESTINATION ${pages} COMPONENT programs
  FILES_MATCHING PATTERN *.md PATTERN *.svg)
install(FILES deploy/reeved.toml.sample RENAME cell.toml.sample
  DESTINATION ${pages} COMPONENT programs)
install(FILES deploy/prometheus.yml deploy/systemd/manager-only.conf
  DESTINATION ${pages}/examples COMPONENT programs)
install(DIRECTORY deploy/grafana DESTINATION ${pages}/examples
  COMPONENT programs)

# The system's own places: only in packages.
install(FILES deploy/systemd/reeved.service DESTINATION lib/systemd/system
  COMPONENT service)
install(FILES deploy/systemd/reeve.sysusers RENAME reeve.conf
  DESTINATION lib/sysusers.d COMPONENT service)

install(PROGRAMS deploy/packages DESTINATION ${CMAKE_INSTALL_DATADIR}/reeve
  COMPONENT service)

# In `all`, too: the tests make a package of what was built.
add_custom_target(reeve_installed ALL
  DEPENDS ${programs} reeve-gpu-share ${completions} ${made}/CHANGELOG.md)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME reeve)
set(CPACK_PACKAGE_VENDOR Reeve)
set(CPACK_PACKAGE_CONTACT "Reeve maintainers <maintainers@reeve.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "event-sourced GPU cluster manager")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Reeve runs GPU clusters: it decides where sessions run, starts them, keeps
them within their limits, shows what they do and releases what they held.
The whole state is a pure fold of one event log. This package has the command
line, the daemon of manager and compute hosts, and the tools for the log.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Hosts that only run sessions need no bus server.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS nats-server)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion, chrony, prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "")
foreach(file postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/deploy/debian/${file})
endforeach()
# Stack traces name functions by the dynamic symbols, which stay.
set(CPACK_STRIP_FILES ON)
include(CPack)
