#include "actors/agent/gpu_records.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>
#include <vector>

#include "bus/private_file.hpp"

namespace reeve::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view uuid_word = "uuid ";
constexpr std::string_view owner_word = "owner ";
constexpr const char* ending = ".gpu";

// The line behind the word, taken off the text; empty: it begins otherwise.
std::string take_line(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return "";
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string line(text.substr(word.size(), end - word.size()));
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

GpuRecords::GpuRecords(std::string directory)
    : directory_(std::move(directory)) {}

// An instance's may have slashes in it.
std::string GpuRecords::path_of(const std::string& uuid) const {
  std::string name = uuid;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-') c = '_';
  return fmt::format("{}/{}{}", directory_, name, ending);
}

GpuRecords::Record GpuRecords::parse(const std::string& text) {
  std::string_view rest = text;
  Record record;
  record.uuid = take_line(rest, uuid_word);
  record.owner = take_line(rest, owner_word);
  record.history = gpu::probe::History::from_text(rest);
  return record;
}

GpuRecords::Record GpuRecords::read(const std::string& uuid) const {
  Record record;
  if (const auto text = bus::read_private_file(path_of(uuid)))
    record = parse(*text);
  if (record.uuid != uuid) record = {};
  record.uuid = uuid;
  return record;
}

Status GpuRecords::write(const Record& record) const {
  ::mkdir(fs::path(directory_).parent_path().c_str(), 0700);
  ::mkdir(directory_.c_str(), 0700);
  return bus::write_private_file(
      path_of(record.uuid),
      fmt::format("{}{}\n{}{}\n{}", uuid_word, record.uuid, owner_word,
                  record.owner, record.history.to_text()));
}

std::map<std::string, std::string> GpuRecords::owners() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error))
    if (entry.path().extension() == ending)
      files.emplace_back(entry.last_write_time(error), entry.path());
  std::sort(files.rbegin(), files.rend());
  std::map<std::string, std::string> owners;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (i >= gpu_records_max) {
      fs::remove(files[i].second, error);
      continue;
    }
    const auto text = bus::read_private_file(files[i].second);
    if (!text) continue;
    Record record = parse(*text);
    if (!record.uuid.empty() && !record.owner.empty())
      owners[record.uuid] = std::move(record.owner);
  }
  return owners;
}

gpu::probe::History GpuRecords::history(const std::string& uuid) const {
  return read(uuid).history;
}

Status GpuRecords::set_history(const std::string& uuid,
                               const gpu::probe::History& history) const {
  Record record = read(uuid);
  record.history = history;
  return write(record);
}

Status GpuRecords::set_owner(const std::string& uuid,
                             const std::string& owner) const {
  Record record = read(uuid);
  record.owner = owner;
  const Status written = write(record);
  if (written) return written;
  std::error_code error;
  fs::remove(path_of(uuid), error);
  if (!error) return {};
  return written;
}

}  // namespace reeve::agent
