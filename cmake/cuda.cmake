# CUDA is used where nvcc is found; nothing else depends on it. Sets
# REEVE_HAVE_CUDA, which gpu/ compiles into what the programs say of
# themselves. -DREEVE_CUDA=OFF leaves it out where nvcc is present.
option(REEVE_CUDA "compile the CUDA probes where nvcc is found" ON)
set(REEVE_HAVE_CUDA OFF)
if(REEVE_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90)
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # nvcc 11 knows C++17 only; device code keeps to that.
    set(CMAKE_CUDA_STANDARD 17)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    add_compile_options(
      $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Werror>)
    set(REEVE_HAVE_CUDA ON)
  endif()
endif()
message(STATUS "CUDA probes: ${REEVE_HAVE_CUDA}")
