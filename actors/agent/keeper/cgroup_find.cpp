#include <sstream>

#include "actors/agent/keeper/cgroup.hpp"
#include "actors/agent/keeper/files.hpp"

namespace reeve::keeper {
namespace {

struct Mount {
  std::string root;
  std::string point;
  std::string type;
  std::string options;  // of the super block: v1 names its controllers there
};

bool parse_mount(const std::string& line, Mount& mount) {
  std::istringstream in(line);
  std::string skip;
  in >> skip >> skip >> skip >> mount.root >> mount.point;
  while (in >> skip && skip != "-") {
  }
  in >> mount.type >> skip >> mount.options;
  return !mount.options.empty();
}

// Only the root of the whole hierarchy has no type.
bool is_root(const Mount& mount) {
  return mount.root == "/" && !read_file(mount.point + "/cgroup.type");
}

// A line of /proc/self/cgroup is "id:controllers:path"; v2 names none.
std::string own_path(std::string_view self_cgroup,
                     std::string_view controller) {
  std::istringstream in{std::string(self_cgroup)};
  for (std::string line; std::getline(in, line);) {
    auto first = line.find(':');
    auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string_view names(line.data() + first + 1, second - first - 1);
    bool match =
        controller.empty() ? names.empty() : lists(names, controller, ',');
    if (match) return line.substr(second + 1);
  }
  return {};
}

// Where `path` of the hierarchy appears below the mount, which may show only
// a part of it (`root`).
std::string directory_of(const Mount& mount, std::string path) {
  if (path.empty()) return {};
  if (mount.root != "/" && path.starts_with(mount.root)) {
    path.erase(0, mount.root.size());
  }
  while (!path.empty() && path.back() == '/') path.pop_back();
  // An earlier keeper moved the daemon to a leaf; the groups stay above it.
  if (path.ends_with(daemon_leaf)) {
    path.resize(path.size() - std::string_view(daemon_leaf).size());
  }
  return mount.point + path;
}

}  // namespace

bool lists(std::string_view names, std::string_view wanted, char separator) {
  while (!names.empty() && names.back() == '\n') names.remove_suffix(1);
  while (!names.empty()) {
    auto end = names.find(separator);
    if (names.substr(0, end) == wanted) return true;
    if (end == std::string_view::npos) break;
    names.remove_prefix(end + 1);
  }
  return false;
}

CgroupLayout find_cgroups(std::string_view mountinfo,
                          std::string_view self_cgroup) {
  CgroupLayout layout;
  struct Wanted {
    const char* name;
    CgroupLayout::Place* place;
  };
  const Wanted wanted[] = {{"memory", &layout.memory},
                           {"pids", &layout.pids},
                           {"cpu", &layout.cpu},
                           {"devices", &layout.devices}};
  std::istringstream in{std::string(mountinfo)};
  for (std::string line; std::getline(in, line);) {
    Mount mount;
    if (!parse_mount(line, mount)) continue;
    bool v2 = mount.type == "cgroup2";
    if (!v2 && mount.type != "cgroup") continue;
    std::string offered;
    std::string own;
    if (v2) {
      own = directory_of(mount, own_path(self_cgroup, ""));
      offered = read_file(own + "/cgroup.controllers").value_or("");
      if (layout.v2_own.empty()) {
        layout.v2_own = own;
        if (is_root(mount)) layout.v2_root = mount.point;
      }
    }
    for (auto [name, place] : wanted) {
      bool here =
          v2 ? lists(offered, name, ' ') : lists(mount.options, name, ',');
      if (!here || !place->directory.empty()) continue;
      place->directory =
          v2 ? own : directory_of(mount, own_path(self_cgroup, name));
      place->v2 = v2;
    }
  }
  if (layout.devices.directory.empty()) layout.devices = {layout.v2_own, true};
  return layout;
}

}  // namespace reeve::keeper
