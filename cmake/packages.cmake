# The libraries, all from Debian; deploy/packages names the packages.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS unit_test_framework json)
find_package(FlatBuffers REQUIRED)
find_package(RocksDB 7.8 REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(spdlog REQUIRED)
find_package(tl-expected REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
# libnats-dev's own CMake package names a file that it does not install.
pkg_check_modules(NATS REQUIRED IMPORTED_TARGET libnats)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(TOMLPLUSPLUS REQUIRED IMPORTED_TARGET tomlplusplus)
find_program(FLATC flatc REQUIRED)

# Debian's CAF comes without a CMake package. The profiler definition brings
# back the spawn hook that the library was built without; it must hold for all
# of our own code alike.
foreach(part core io)
  find_library(CAF_${part}_LIBRARY caf_${part} REQUIRED)
  add_library(CAF::${part} SHARED IMPORTED)
  set_target_properties(CAF::${part} PROPERTIES
    IMPORTED_LOCATION ${CAF_${part}_LIBRARY}
    INTERFACE_LINK_LIBRARIES Threads::Threads)
endforeach()
target_compile_definitions(CAF::core INTERFACE CAF_ENABLE_ACTOR_PROFILER)
target_link_libraries(CAF::io INTERFACE CAF::core)
