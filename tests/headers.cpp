// Nothing: what the tests' common headers are compiled with (CMakeLists.txt).
