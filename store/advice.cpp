#include "store/advice.hpp"

#include <algorithm>
#include <string_view>

namespace reeve::store {
namespace {

// How the errors that know better begin their own advice.
constexpr std::string_view known_advice[] = {": restore ", "use the version",
                                             "; name "};

}  // namespace

Error with_advice(Error error, const std::filesystem::path& directory) {
  if (error.code != Errc::damaged) return error;
  const bool advised =
      std::any_of(std::begin(known_advice), std::end(known_advice),
                  [&](std::string_view words) {
                    return error.text.find(words) != std::string::npos;
                  });
  if (advised) return error;
  if (error.text.find("newer") != std::string::npos) {
    error.text += ": use the version that wrote it";
    return error;
  }
  error.text +=
      "; nothing was changed: \"reeve log repair\" shows what it can "
      "be mended from; or keep " +
      directory.string() +
      " as it is for whoever looks into it, and restore a copy that "
      "\"reeve log verify --log COPY\" finds whole";
  return error;
}

}  // namespace reeve::store
