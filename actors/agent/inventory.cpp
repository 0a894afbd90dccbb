#include "actors/agent/inventory.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <future>
#include <optional>
#include <thread>

#include "actors/agent/devices.hpp"
#include "gpu/container_tools.hpp"
#include "gpu/share/mps.hpp"

namespace reeve::agent {
namespace {

namespace fs = std::filesystem;

std::uint32_t host_cpu_milli() {
  // Those this process may use: a container may have fewer than the host.
  cpu_set_t usable;
  if (::sched_getaffinity(0, sizeof usable, &usable) == 0)
    return static_cast<std::uint32_t>(CPU_COUNT(&usable)) * 1000;
  return static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)) * 1000;
}

std::uint64_t host_memory_bytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Nothing: the driver did not answer in time. Who asked it is left behind then.
std::optional<gpu::Inventory> look_at_gpus(const gpu::Sources& sources,
                                           std::chrono::milliseconds within) {
  std::packaged_task<gpu::Inventory()> look(
      [sources] { return gpu::read_inventory(sources); });
  std::future<gpu::Inventory> found = look.get_future();
  std::thread(std::move(look)).detach();
  if (found.wait_for(within) != std::future_status::ready) return std::nullopt;
  return found.get();
}

Expected<fs::path> programs_directory() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error)
    return fail(Errc::io,
                "the path of this program is not known: " + error.message());
  return self.parent_path();
}

}  // namespace

Expected<std::string> node_name(const std::string& configured) {
  if (!configured.empty()) return configured;
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
    return fail(Errc::io,
                fmt::format("this host does not tell its name ({}): set "
                            "agent.name",
                            std::strerror(errno)));
  return std::string(name);
}

Expected<Node> read_host(const HostOptions& options) {
  Node node;
  auto name = node_name(options.name);
  if (!name) return tl::unexpected(name.error());
  node.name = std::move(*name);
  node.group = options.group;
  node.cpu_milli = options.cpu_milli ? options.cpu_milli : host_cpu_milli();
  node.memory_bytes =
      options.memory_bytes ? options.memory_bytes : host_memory_bytes();
  node.gpu_limits = options.gpu_limits;
  for (const gpu::ContainerTool& tool : gpu::find_container_tools())
    if (auto problem = gpu::tool_problem(tool); !problem.empty())
      node.gpu_limits.push_back(
          fmt::format("{}; {}", problem, gpu::tool_remedy()));
  const auto found = look_at_gpus(options.gpu_sources, options.gpus_within);
  set_gpus(found.value_or(gpu::Inventory{}), options.gpu_probe,
           options.mps_directory, node);
  node.gpus_awaited = !found;
  if (node.gpus_awaited)
    node.limits.push_back(
        "its GPUs are not known yet: the driver does not answer");
  return node;
}

void set_gpus(const gpu::Inventory& found, const std::string& gpu_probe,
              const std::string& mps_directory, Node& node) {
  node.devices.clear();
  node.gpus_awaited = false;
  node.common_device_paths.clear();
  node.share_library.clear();
  node.gpu_probe.clear();
  node.mps_directory.clear();
  node.limits.clear();
  add_devices(found, node);
  if (node.devices.empty()) return;
  auto library = programs_directory().and_then([](const fs::path& programs) {
    return share_library(programs.string());
  });
  if (library)
    node.share_library = std::move(*library);
  else
    node.limits.push_back("GPUs are given whole, not in shares: " +
                          library.error().text);
  if (auto probe = probe_program(gpu_probe))
    node.gpu_probe = std::move(*probe);
  else
    node.limits.push_back(
        "GPUs are not tested, nor is their memory cleared between owners: " +
        probe.error().text);
  if (!mps_directory.empty()) {
    node.mps_directory = mps_directory;
    node.limits.push_back(gpu::share::mps_limit(mps_directory));
    if (auto none = gpu::share::why_no_mps(mps_directory); !none.empty())
      node.limits.push_back(std::move(none));
  }
  node.common_device_paths = common_device_paths();
  node.limits.insert(node.limits.end(), node.gpu_limits.begin(),
                     node.gpu_limits.end());
}

std::vector<std::string> common_device_paths() {
  std::vector<std::string> found;
  for (const char* path : {"/dev/nvidiactl", "/dev/nvidia-uvm",
                           "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"}) {
    std::error_code error;
    if (fs::exists(path, error)) found.emplace_back(path);
  }
  return found;
}

Expected<std::string> keeper_program() {
  const auto programs = programs_directory();
  if (!programs) return tl::unexpected(programs.error());
  const fs::path keeper = *programs / "reeve-keeper";
  if (::access(keeper.c_str(), X_OK) != 0)
    return fail(Errc::not_found,
                keeper.string() +
                    " is missing or not executable: it belongs beside this "
                    "program, install both from one build");
  return keeper.string();
}

Expected<std::string> probe_program(const std::string& wanted) {
  std::string program = wanted;
  if (program.empty()) {
    const auto programs = programs_directory();
    if (!programs) return tl::unexpected(programs.error());
    program = (*programs / "reeve-gpu-probe").string();
  }
  if (::access(program.c_str(), X_OK) != 0)
    return fail(Errc::not_found,
                fmt::format("{} is missing or not executable; a build with "
                            "CUDA makes it",
                            program));
  // Asked for as the probe will: by its name, where libraries are looked for.
  void* cuda = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (!cuda)
    return fail(Errc::not_found,
                "the driver's CUDA library, libcuda.so.1, cannot be loaded");
  ::dlclose(cuda);
  return program;
}

Expected<std::string> share_library(const std::string& programs) {
  constexpr const char* name = "libreeve-gpu-share.so";
  const fs::path beside = programs;
  for (const fs::path& path :
       {beside / name, beside.parent_path() / "lib" / name}) {
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode) &&
        (found.st_mode & S_IROTH))
      return path.string();
  }
  return fail(Errc::not_found,
              fmt::format("{} has no {} that all users can read, nor has lib "
                          "beside it; install it from the same build",
                          programs, name));
}

}  // namespace reeve::agent
