// Entry points that start kernels.
#include "gpu/share/gate.hpp"
#include "gpu/share/hooks.hpp"

namespace reeve::gpu::share {
namespace {

// Kernels of a session without a limit on its time pass at the cost of a look
// at one variable.
template <class Start>
cuda::Result paced(const Lane& lane, Gate::Work work, Start start) {
  Gate* gate = current_gate();
  if (!gate) return start();
  const bool timed = gate->before(lane);
  const cuda::Result result = start();
  if (timed && result == cuda::success) gate->after(lane, work);
  return result;
}

using Work = Gate::Work;

}  // namespace
}  // namespace reeve::gpu::share

using namespace reeve::gpu;
using namespace reeve::gpu::share;

#define REEVE_LAUNCH(name, index)                                            \
  REEVE_HOOK cuda::Result name(                                              \
      cuda::Function kernel, unsigned gx, unsigned gy, unsigned gz,          \
      unsigned bx, unsigned by, unsigned bz, unsigned shared,                \
      cuda::Stream stream, void** arguments, void** extra) {                 \
    const auto real = Driver::get().launch[index];                           \
    if (!real) return not_initialized;                                       \
    return paced({stream, index}, Work::kernel, [&] {                        \
      return real(kernel, gx, gy, gz, bx, by, bz, shared, stream, arguments, \
                  extra);                                                    \
    });                                                                      \
  }

#define REEVE_LAUNCH_EX(name, index)                                    \
  REEVE_HOOK cuda::Result name(const cuda::LaunchConfig* how,           \
                               cuda::Function kernel, void** arguments, \
                               void** extra) {                          \
    const auto real = Driver::get().launch_ex[index];                   \
    if (!real) return not_initialized;                                  \
    return paced({how ? how->stream : nullptr, index}, Work::kernel,    \
                 [&] { return real(how, kernel, arguments, extra); });  \
  }

#define REEVE_LAUNCH_COOPERATIVE(name, index)                                 \
  REEVE_HOOK cuda::Result name(cuda::Function kernel, unsigned gx,            \
                               unsigned gy, unsigned gz, unsigned bx,         \
                               unsigned by, unsigned bz, unsigned shared,     \
                               cuda::Stream stream, void** arguments) {       \
    const auto real = Driver::get().launch_cooperative[index];                \
    if (!real) return not_initialized;                                        \
    return paced({stream, index}, Work::kernel, [&] {                         \
      return real(kernel, gx, gy, gz, bx, by, bz, shared, stream, arguments); \
    });                                                                       \
  }

#define REEVE_GRAPH_LAUNCH(name, index)                                      \
  REEVE_HOOK cuda::Result name(cuda::GraphExec graph, cuda::Stream stream) { \
    const auto real = Driver::get().graph_launch[index];                     \
    if (!real) return not_initialized;                                       \
    return paced({stream, index}, Work::graph,                               \
                 [&] { return real(graph, stream); });                       \
  }

extern "C" {

REEVE_LAUNCH(cuLaunchKernel, 0)
REEVE_LAUNCH(cuLaunchKernel_ptsz, 1)
REEVE_LAUNCH_EX(cuLaunchKernelEx, 0)
REEVE_LAUNCH_EX(cuLaunchKernelEx_ptsz, 1)
REEVE_LAUNCH_COOPERATIVE(cuLaunchCooperativeKernel, 0)
REEVE_LAUNCH_COOPERATIVE(cuLaunchCooperativeKernel_ptsz, 1)
REEVE_GRAPH_LAUNCH(cuGraphLaunch, 0)
REEVE_GRAPH_LAUNCH(cuGraphLaunch_ptsz, 1)

}  // extern "C"
