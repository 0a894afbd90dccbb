// reeve-gpu-share-run: starts a program with a share of a GPU.
//
//   reeve-gpu-share-run FILE LIBRARY UUID MEMORY_BYTES MILLI BEGIN -- COMMAND
//
// Makes FILE if it is not there; several programs with one file are one
// session. LIBRARY is libreeve-gpu-share.so. MILLI are the thousandths of the
// device's time, BEGIN where in each period they begin.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "gpu/share/ledger.hpp"

namespace {

using reeve::gpu::share::DeviceShare;
using reeve::gpu::share::Ledger;

template <class Number>
bool read(std::string_view text, Number& number) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

int usage() {
  fmt::print(stderr,
             "usage: reeve-gpu-share-run FILE LIBRARY UUID MEMORY_BYTES MILLI "
             "BEGIN -- COMMAND...\n");
  return 2;
}

int fail(const std::string& sentence) {
  fmt::print(stderr, "reeve-gpu-share-run: {}\n", sentence);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  DeviceShare share;
  if (argc < 9 || std::string_view(argv[7]) != "--" ||
      !read(argv[4], share.memory_bytes) ||
      !read(argv[5], share.compute_milli) || !read(argv[6], share.begin_milli))
    return usage();
  share.uuid = argv[3];
  if (::access(argv[1], F_OK) != 0) {
    if (auto made = Ledger::create(argv[1], {share}); !made)
      return fail(made.error());
  }
  ::setenv("REEVE_GPU_LEDGER", argv[1], 1);
  ::setenv("LD_PRELOAD", argv[2], 1);
  ::execvp(argv[8], argv + 8);
  return fail(fmt::format("{}: {}", argv[8], std::strerror(errno)));
}
