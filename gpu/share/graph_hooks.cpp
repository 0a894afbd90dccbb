// Graphs that allocate memory. Their launches take it, so it is charged from
// when it is put into a graph until that is gone and all that was made of it.
#include <mutex>
#include <unordered_map>

#include "gpu/share/charged.hpp"
#include "gpu/share/hooks.hpp"

namespace reeve::gpu::share {
namespace {

// Which graph each executable was made of. A graph with allocations has but one
// at a time.
class Executables {
 public:
  static Executables& get() {
    static auto* const executables = new Executables;
    return *executables;
  }

  void add(cuda::GraphExec made, cuda::Graph of) {
    const std::lock_guard lock(mutex_);
    graphs_[made] = of;
  }

  // Null: of none that is there still.
  cuda::Graph take(cuda::GraphExec one) {
    const std::lock_guard lock(mutex_);
    const auto at = graphs_.find(one);
    if (at == graphs_.end()) return nullptr;
    const cuda::Graph graph = at->second;
    graphs_.erase(at);
    return graph;
  }

  // The one that outlives its graph, which it knows no more; null: none does.
  cuda::GraphExec outliving(cuda::Graph graph) {
    const std::lock_guard lock(mutex_);
    for (auto at = graphs_.begin(); at != graphs_.end(); ++at) {
      if (at->second != graph) continue;
      const cuda::GraphExec one = at->first;
      graphs_.erase(at);
      return one;
    }
    return nullptr;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<cuda::GraphExec, cuda::Graph> graphs_;
};

// The graphs with allocations that streams are being captured into: of a
// capture that is broken the driver does not tell it any more.
class Captures {
 public:
  static Captures& get() {
    static auto* const captures = new Captures;
    return *captures;
  }

  void add(const void* stream, cuda::Graph graph) {
    const std::lock_guard lock(mutex_);
    graphs_[stream] = graph;
  }

  // The graph of a capture that ends, which the driver may tell; null: none.
  cuda::Graph take(const void* stream, cuda::Graph told) {
    const std::lock_guard lock(mutex_);
    const auto at = graphs_.find(stream);
    const cuda::Graph graph = told || at == graphs_.end() ? told : at->second;
    // Other streams may have joined the capture.
    std::erase_if(graphs_, [&](const auto& one) {
      return one.first == stream || one.second == graph;
    });
    return graph;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const void*, cuda::Graph> graphs_;
};

// Each thread has a default stream of its own.
const void* name_of(cuda::Stream stream, int per_thread) {
  static thread_local char own;
  const bool is_own = key_of(stream) == cuda::stream_per_thread ||
                      (per_thread != 0 && stream == nullptr);
  return is_own ? &own : static_cast<const void*>(stream);
}

template <class Real>
cuda::Result instantiated(cuda::GraphExec* to, cuda::Graph graph, Real real) {
  const cuda::Result result = real();
  if (result == cuda::success && !passes() &&
      Session::get().holds(key_of(graph)))
    Executables::get().add(*to, graph);
  return result;
}

cuda::Result end_capture(cuda::Stream stream, cuda::Graph* to, int per_thread) {
  const auto real = Driver::get().end_capture[per_thread];
  if (!real) return not_initialized;
  const cuda::Graph captured =
      passes() ? nullptr
               : Captures::get().take(name_of(stream, per_thread),
                                      captured_graph(stream, per_thread));
  if (!captured) return real(stream, to);
  // A capture that broke off leaves no graph.
  Session& session = Session::get();
  const auto lifted = session.lift(key_of(captured));
  const cuda::Result result = real(stream, to);
  if (result == cuda::success && to && *to)
    session.put_back(lifted);
  else
    session.settle(lifted);
  return result;
}

}  // namespace

cuda::Graph captured_graph(cuda::Stream stream, int per_thread) {
  const auto ask = Driver::get().capture_info[per_thread];
  int status = 0;
  cuda::Graph graph = nullptr;
  if (!ask || ask(stream, &status, nullptr, &graph, nullptr, nullptr) != 0 ||
      status != cuda::capture_active)
    return nullptr;
  return graph;
}

void note_captured(cuda::Stream stream, int per_thread, cuda::Graph graph) {
  Captures::get().add(name_of(stream, per_thread), graph);
}

}  // namespace reeve::gpu::share

using namespace reeve::gpu;
using namespace reeve::gpu::share;

extern "C" {

REEVE_HOOK cuda::Result cuGraphAddMemAllocNode(cuda::GraphNode* node,
                                               cuda::Graph graph,
                                               const cuda::GraphNode* after,
                                               std::size_t count,
                                               cuda::AllocationNode* how) {
  REEVE_REAL(graph_alloc_node);
  if (passes() || !how) return real(node, graph, after, count, how);
  return charged(
      Session::get().current_device(), how->bytes,
      [&] { return real(node, graph, after, count, how); },
      [&] { return key_of(graph); });
}

REEVE_HOOK cuda::Result cuGraphAddNode(cuda::GraphNode* node, cuda::Graph graph,
                                       const cuda::GraphNode* after,
                                       std::size_t count, void* how) {
  REEVE_REAL(graph_node_v1);
  const auto* parameters = static_cast<const cuda::NodeParameters*>(how);
  if (passes() || !how || parameters->kind != cuda::node_allocates)
    return real(node, graph, after, count, how);
  return charged(
      Session::get().current_device(), parameters->allocation.bytes,
      [&] { return real(node, graph, after, count, how); },
      [&] { return key_of(graph); });
}

REEVE_HOOK cuda::Result cuGraphAddNode_v2(cuda::GraphNode* node,
                                          cuda::Graph graph,
                                          const cuda::GraphNode* after,
                                          const void* edges, std::size_t count,
                                          void* how) {
  REEVE_REAL(graph_node);
  const auto* parameters = static_cast<const cuda::NodeParameters*>(how);
  if (passes() || !how || parameters->kind != cuda::node_allocates)
    return real(node, graph, after, edges, count, how);
  return charged(
      Session::get().current_device(), parameters->allocation.bytes,
      [&] { return real(node, graph, after, edges, count, how); },
      [&] { return key_of(graph); });
}

REEVE_HOOK cuda::Result cuGraphDestroy(cuda::Graph graph) {
  const auto real = Driver::get().graph_destroy;
  if (!real) return not_initialized;
  if (passes()) return real(graph);
  Session& session = Session::get();
  const auto lifted = session.lift(key_of(graph));
  const auto heir =
      lifted.empty() ? nullptr : Executables::get().outliving(graph);
  const cuda::Result result = real(graph);
  if (result != cuda::success) {
    session.put_back(lifted);
    if (heir) Executables::get().add(heir, graph);
  } else if (heir) {
    for (const auto& [key, charge] : lifted) session.keep(key_of(heir), charge);
  } else {
    session.settle(lifted);
  }
  return result;
}

REEVE_HOOK cuda::Result cuGraphExecDestroy(cuda::GraphExec executable) {
  const auto real = Driver::get().graph_exec_destroy;
  if (!real) return not_initialized;
  if (passes()) return real(executable);
  const cuda::Graph graph = Executables::get().take(executable);
  const cuda::Result result =
      freed(key_of(executable), [&] { return real(executable); });
  if (result != cuda::success && graph)
    Executables::get().add(executable, graph);
  return result;
}

REEVE_HOOK cuda::Result cuGraphInstantiate(cuda::GraphExec* to,
                                           cuda::Graph graph,
                                           cuda::GraphNode* wrong, char* text,
                                           std::size_t text_bytes) {
  REEVE_REAL(graph_instantiate_v1);
  return instantiated(to, graph,
                      [&] { return real(to, graph, wrong, text, text_bytes); });
}

REEVE_HOOK cuda::Result cuGraphInstantiate_v2(cuda::GraphExec* to,
                                              cuda::Graph graph,
                                              cuda::GraphNode* wrong,
                                              char* text,
                                              std::size_t text_bytes) {
  REEVE_REAL(graph_instantiate_v2);
  return instantiated(to, graph,
                      [&] { return real(to, graph, wrong, text, text_bytes); });
}

REEVE_HOOK cuda::Result cuGraphInstantiateWithFlags(cuda::GraphExec* to,
                                                    cuda::Graph graph,
                                                    unsigned long long flags) {
  REEVE_REAL(graph_instantiate);
  return instantiated(to, graph, [&] { return real(to, graph, flags); });
}

REEVE_HOOK cuda::Result cuGraphInstantiateWithParams(cuda::GraphExec* to,
                                                     cuda::Graph graph,
                                                     void* how) {
  REEVE_REAL(graph_instantiate_params[0]);
  return instantiated(to, graph, [&] { return real(to, graph, how); });
}

REEVE_HOOK cuda::Result cuGraphInstantiateWithParams_ptsz(cuda::GraphExec* to,
                                                          cuda::Graph graph,
                                                          void* how) {
  REEVE_REAL(graph_instantiate_params[1]);
  return instantiated(to, graph, [&] { return real(to, graph, how); });
}

REEVE_HOOK cuda::Result cuStreamEndCapture(cuda::Stream stream,
                                           cuda::Graph* to) {
  return end_capture(stream, to, 0);
}

REEVE_HOOK cuda::Result cuStreamEndCapture_ptsz(cuda::Stream stream,
                                                cuda::Graph* to) {
  return end_capture(stream, to, 1);
}

}  // extern "C"
