#include "bus/credentials.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <random>

#include "bus/private_file.hpp"

namespace reeve::bus {
namespace json = boost::json;

Status save_credentials(const std::filesystem::path& file,
                        const Credentials& credentials) {
  const json::object object{{"url", credentials.url},
                            {"principal", credentials.principal},
                            {"password", credentials.password},
                            {"cell", credentials.cell}};
  return write_private_file(file, json::serialize(object) + "\n");
}

Expected<Credentials> load_credentials(const std::filesystem::path& file) {
  auto text = read_private_file(file);
  if (!text) return tl::unexpected(text.error());
  json::error_code error;
  const json::value value = json::parse(*text, error);
  Credentials credentials;
  const auto take = [&](const char* key, std::string& to) {
    const json::object* object = value.if_object();
    const json::value* found = object ? object->if_contains(key) : nullptr;
    const json::string* string = found ? found->if_string() : nullptr;
    if (string != nullptr) to.assign(string->data(), string->size());
    return string != nullptr;
  };
  if (error || !take("url", credentials.url) ||
      !take("principal", credentials.principal) ||
      !take("password", credentials.password) ||
      !take("cell", credentials.cell))
    return fail(Errc::damaged,
                fmt::format("{} does not hold url, principal, password and "
                            "cell as JSON: remove it and start the daemon "
                            "again",
                            file.string()));
  return credentials;
}

std::string make_password() {
  std::random_device random;
  std::string text;
  for (int i = 0; i < 8; ++i)
    fmt::format_to(std::back_inserter(text), "{:08x}", random());
  return text;
}

std::filesystem::path client_credentials_path(
    const std::filesystem::path& data_directory) {
  return data_directory / "bus" / "client.json";
}

}  // namespace reeve::bus
