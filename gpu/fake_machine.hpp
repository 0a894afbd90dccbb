// For tests: a machine as the script of fake_nvml.cpp describes it, and a copy
// of that library from which entry points can be missing.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>

#include "gpu/inventory.hpp"

namespace reeve::gpu {

class FakeMachine {
 public:
  FakeMachine() {
    std::string name =
        std::filesystem::temp_directory_path() / "reeve-gpu-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    ::setenv("REEVE_FAKE_NVML_SCRIPT", script().c_str(), 1);
  }
  ~FakeMachine() {
    std::filesystem::remove_all(directory_);
    ::unsetenv("REEVE_FAKE_NVML_SCRIPT");
  }
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;

  // Replaces the machine by another, in one step.
  void write(const std::string& text) const {
    std::ofstream(script() + ".new") << text;
    std::filesystem::rename(script() + ".new", script());
  }

  void numa_node(const std::string& pci_bus, int node) const {
    std::filesystem::create_directory(directory_ / pci_bus);
    std::ofstream(directory_ / pci_bus / "numa_node") << node << "\n";
  }

  // As the driver tells them below /proc: "gpu0/mig/gi1".
  void capability(const std::string& of, unsigned minor) const {
    const auto place = directory_ / "capabilities" / of;
    std::filesystem::create_directories(place);
    std::ofstream(place / "access")
        << "DeviceFileMinor: " << minor << "\nDeviceFileMode: 292\n";
  }

  // The driver's library in a version that has not got these entry points.
  void without(std::initializer_list<std::string> entries) {
    std::ifstream whole(library_, std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(whole), {});
    for (const std::string& entry : entries) {
      const std::string symbol = '\0' + entry + '\0';
      auto at = bytes.find(symbol);
      BOOST_REQUIRE(at != std::string::npos);
      for (; at != std::string::npos; at = bytes.find(symbol, at + 1))
        bytes[at + 1] = 'x';
    }
    library_ = (directory_ / "old.so").string();
    std::ofstream(library_, std::ios::binary) << bytes;
  }

  Sources sources() const {
    return {library_, directory_.string(),
            (directory_ / "capabilities").string()};
  }
  Inventory read() const { return read_inventory(sources()); }
  Inventory read(const std::string& text) const {
    write(text);
    return read();
  }

 private:
  std::string script() const { return (directory_ / "machine.txt").string(); }

  std::filesystem::path directory_;
  std::string library_ = REEVE_FAKE_NVML;
};

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace reeve::gpu
