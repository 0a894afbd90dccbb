#include "store/layout.hpp"

#include <system_error>

namespace reeve::store {

namespace {

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// A creation that was cut short before the mark leaves only these.
bool holds_nothing_yet(const std::filesystem::path& directory) {
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory, ignored)) {
    const auto name = entry.path().filename();
    if (name != "owner" && name != "head.mark.new" && name != "importing")
      return false;
  }
  return !ignored;
}

bool looks_like_log(const Layout& layout) {
  return is_there(layout.database()) || is_there(layout.head_mark());
}

}  // namespace

std::string unfinished_import_text(const Layout& layout) {
  return "an import into " + layout.directory.string() +
         " was cut short, so the log there is not all of it: run the same "
         "import again";
}

Expected<Layout> find_log(const std::filesystem::path& given) {
  std::error_code error;
  const auto type = std::filesystem::status(given, error).type();
  if (type == std::filesystem::file_type::not_found)
    return fail(Errc::not_found, "there is no log at " + given.string() +
                                     ": the path does not exist");
  if (type != std::filesystem::file_type::directory)
    return fail(Errc::damaged,
                given.string() +
                    " is no directory a log could be in; name a cell's data "
                    "directory, or the log directory in it");
  Layout layout{given};
  if (!looks_like_log(layout) && looks_like_log(Layout{given / "log"}))
    layout.directory = given / "log";
  if (!looks_like_log(layout)) {
    if (holds_nothing_yet(given))
      return fail(Errc::not_found, "there is no log in " + given.string());
    return fail(Errc::damaged,
                given.string() +
                    " holds no log of Reeve: it has neither head.mark nor db; "
                    "name a cell's data directory, or the log directory in it");
  }
  if (!is_there(layout.head_mark()))
    return fail(Errc::damaged,
                layout.head_mark().string() +
                    " is missing, so nothing proves that the log beside it is "
                    "whole: restore the directory from a copy");
  return layout;
}

}  // namespace reeve::store
