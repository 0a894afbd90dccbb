// In place of wgmma.cu where the compiler does not know compute capability
// 9.0a.
#include "gpu/probe/tensor.cuh"

namespace reeve::gpu::probe {

TensorWay wgmma_way() {
  return mma_way();
}

bool has_wgmma_way() {
  return false;
}

}  // namespace reeve::gpu::probe
