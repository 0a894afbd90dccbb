#include "actors/agent/gpu_records.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

namespace reeve::agent::gpu_records_test {
namespace {

namespace fs = std::filesystem;

struct Directory {
  Directory() {
    std::string name = fs::temp_directory_path() / "reeve-records-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Directory() { fs::remove_all(path); }

  GpuRecords records() const { return GpuRecords(place()); }
  std::string place() const { return (path / "node" / "gpus").string(); }

  fs::path path;
};

using Owners = std::map<std::string, std::string>;

BOOST_FIXTURE_TEST_CASE(an_owner_is_known_after_a_restart, Directory) {
  BOOST_TEST(records().owners().empty());
  BOOST_REQUIRE(records().set_owner("GPU-a", "1000 ann"));
  BOOST_REQUIRE(records().set_owner("MIG-GPU-b/1/0", "1001 bob b"));
  const Owners both{{"GPU-a", "1000 ann"}, {"MIG-GPU-b/1/0", "1001 bob b"}};
  BOOST_TEST((records().owners() == both));
  BOOST_REQUIRE(records().set_owner("GPU-a", ""));
  BOOST_TEST(records().owners().size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(owner_and_history_do_not_disturb_each_other,
                        Directory) {
  gpu::probe::History history;
  for (const double value : {1.0, 2.0, 3.0})
    history.add({{"fp32", 1, {{"fp32", value}}, {}, ""}});
  BOOST_REQUIRE(records().set_owner("GPU-a", "1000 ann"));
  BOOST_REQUIRE(records().set_history("GPU-a", history));
  BOOST_REQUIRE(records().set_owner("GPU-a", "1001 bob"));
  BOOST_TEST(records().owners().at("GPU-a") == "1001 bob");
  BOOST_TEST(records().history("GPU-a").median("fp32").value() == 2.0);
  BOOST_TEST(!records().history("GPU-a").median("1001"));
  BOOST_TEST(!records().history("GPU-b").median("fp32"));
}

BOOST_FIXTURE_TEST_CASE(what_cannot_be_read_is_nobodys, Directory) {
  BOOST_REQUIRE(records().set_owner("GPU-a", "1000 ann"));
  BOOST_REQUIRE(records().set_owner("GPU-b", "1000 ann"));
  std::ofstream(place() + "/GPU-a.gpu") << "rubbish\nuuid GPU-a\n";
  fs::permissions(place() + "/GPU-b.gpu", fs::perms::all);
  std::ofstream(place() + "/README") << "uuid GPU-c\nowner ann\n";
  BOOST_TEST(records().owners().empty());
}

// Where nothing can be written: nobody's, for the next one finds no record.
BOOST_FIXTURE_TEST_CASE(an_owner_that_cannot_be_kept_is_nobody, Directory) {
  BOOST_REQUIRE(records().set_owner("GPU-a", "1000 ann"));
  // The place of the new file is taken by a directory that is not empty.
  const std::string fresh =
      place() + "/GPU-a.gpu." + std::to_string(::getpid());
  fs::create_directories(fresh + "/x");
  BOOST_TEST(records().set_owner("GPU-a", "1001 bob").has_value());
  BOOST_TEST(records().owners().empty());
}

BOOST_FIXTURE_TEST_CASE(so_many_records_are_kept_the_oldest_are_forgotten,
                        Directory) {
  const auto now = fs::file_time_type::clock::now();
  for (std::size_t i = 0; i <= gpu_records_max; ++i) {
    const std::string uuid = "GPU-" + std::to_string(i);
    BOOST_REQUIRE(records().set_owner(uuid, "1000 ann"));
    fs::last_write_time(place() + "/" + uuid + ".gpu",
                        now - std::chrono::hours(i));
  }
  const auto owners = records().owners();
  BOOST_TEST(owners.size() == gpu_records_max);
  BOOST_TEST(owners.contains("GPU-0"));
  BOOST_TEST(!owners.contains("GPU-" + std::to_string(gpu_records_max)));
  BOOST_TEST(!fs::exists(place() + "/GPU-" + std::to_string(gpu_records_max) +
                         ".gpu"));
}

}  // namespace
}  // namespace reeve::agent::gpu_records_test
