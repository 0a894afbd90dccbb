// Where the parts of a log lie: <data>/log/{db/, archive/, set-aside/,
// head.mark, ballast, reserve, owner}.
#pragma once

#include <filesystem>
#include <string>

#include "cluster/error.hpp"

namespace reeve::store {

struct Layout {
  std::filesystem::path directory;  // the log's own, not the cell's
  std::filesystem::path database() const { return directory / "db"; }
  std::filesystem::path archive() const { return directory / "archive"; }
  // Ends of the log that the cell did not go on with.
  std::filesystem::path set_aside() const { return directory / "set-aside"; }
  // There while an import is not finished; says how far it should go.
  std::filesystem::path importing() const { return directory / "importing"; }
  std::filesystem::path head_mark() const { return directory / "head.mark"; }
  std::filesystem::path ballast() const { return directory / "ballast"; }
  std::filesystem::path reserve() const { return directory / "reserve"; }
  std::filesystem::path owner() const { return directory / "owner"; }
};

// What to say and do about a log with the file `importing` in it.
std::string unfinished_import_text(const Layout& layout);

// Finds an existing log, given its directory or the data directory of the
// cell around it. Errc::not_found when the path is not there or is empty,
// Errc::damaged when it holds something else, or a log without its mark or
// its database.
Expected<Layout> find_log(const std::filesystem::path& given);

}  // namespace reeve::store
