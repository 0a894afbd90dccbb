#include "actors/agent/keeper/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "actors/agent/keeper/codec.hpp"

namespace reeve::keeper {
namespace {

enum class Kind : std::uint8_t {
  header = 1,
  epoch,
  launched,
  running,
  start_failed,
  exited,
  forgotten,
};

constexpr std::string_view magic = "reeve tasks 1";
constexpr std::size_t prefix_bytes = 8;

std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t hash = 2166136261u;
  for (unsigned char byte : bytes) hash = (hash ^ byte) * 16777619u;
  return hash;
}

template <class F>
void record(std::string& out, Kind kind, F&& payload) {
  auto start = out.size();
  out.append(prefix_bytes, '\0');
  Writer writer(out);
  writer.number(kind);
  payload(writer);
  auto length = static_cast<std::uint32_t>(out.size() - start - prefix_bytes);
  auto sum = checksum(std::string_view(out).substr(start + prefix_bytes));
  std::memcpy(out.data() + start, &length, sizeof length);
  std::memcpy(out.data() + start + 4, &sum, sizeof sum);
}

void put_key(Writer& out, const TaskKey& key) {
  out.number(key.session);
  out.number(key.attempt);
  out.number(key.rank);
}

TaskKey get_key(Reader& in) {
  TaskKey key;
  key.session = in.number<std::uint64_t>();
  key.attempt = in.number<std::uint32_t>();
  key.rank = in.number<std::uint32_t>();
  return key;
}

void put_exited(std::string& out, const TaskKey& key, const ExitFacts& facts) {
  record(out, Kind::exited, [&](Writer& w) {
    put_key(w, key);
    w.number(facts.exit_code);
    w.number(facts.signal);
    w.number(facts.memory_killed);
    w.number(facts.peak_memory_bytes);
    w.number(facts.cpu_ns);
    w.number(facts.started_at);
    w.number(facts.ended_at);
    w.number(facts.lost);
    w.text(facts.detail);
  });
}

ExitFacts get_exit(Reader& in) {
  ExitFacts facts;
  facts.exit_code = in.number<int>();
  facts.signal = in.number<int>();
  facts.memory_killed = in.number<std::uint8_t>() != 0;
  facts.peak_memory_bytes = in.number<std::uint64_t>();
  facts.cpu_ns = in.number<std::uint64_t>();
  facts.started_at = in.number<std::uint64_t>();
  facts.ended_at = in.number<std::uint64_t>();
  facts.lost = in.number<std::uint8_t>() != 0;
  facts.detail = in.text();
  return facts;
}

void put_key_record(std::string& out, Kind kind, const TaskKey& key) {
  record(out, kind, [&](Writer& w) { put_key(w, key); });
}

bool apply_task(Kind kind, Reader& in, JournalState& state) {
  auto key = get_key(in);
  if (kind == Kind::forgotten) {
    state.tasks.erase(key);
    state.forgotten.add(key);
    return in.complete();
  }
  auto& task = state.tasks[key];
  task.status.key = key;
  switch (kind) {
    case Kind::launched:
      task.status.started_at = in.number<std::uint64_t>();
      task.status.state = TaskState::running;
      break;
    case Kind::running:
      task.status.pid = in.number<int>();
      task.boot_ns = in.number<std::uint64_t>();
      break;
    case Kind::start_failed:
      task.status.state = TaskState::start_failed;
      task.status.error = in.text();
      break;
    case Kind::exited:
      task.status.state = TaskState::exited;
      task.status.exit = get_exit(in);
      task.status.started_at = task.status.exit.started_at;
      break;
    default: return false;
  }
  return in.complete();
}

bool apply(std::string_view bytes, JournalState& state) {
  Reader in(bytes);
  auto kind = in.number<Kind>();
  if (kind == Kind::header) {
    if (in.text() != magic) return false;
    state.boot_id = in.text();
    return in.complete();
  }
  if (kind == Kind::epoch) {
    state.newest_epoch = in.number<std::uint64_t>();
    return in.complete();
  }
  return apply_task(kind, in, state);
}

// Bytes of the good part of the file.
std::size_t replay(std::string_view text, JournalState& state) {
  std::size_t at = 0;
  while (text.size() - at >= prefix_bytes) {
    Reader prefix(text.substr(at, prefix_bytes));
    auto length = prefix.number<std::uint32_t>();
    auto sum = prefix.number<std::uint32_t>();
    if (length > text.size() - at - prefix_bytes) break;
    auto body = text.substr(at + prefix_bytes, length);
    if (checksum(body) != sum || !apply(body, state)) break;
    at += prefix_bytes + length;
  }
  return at;
}

std::string whole(const JournalState& state) {
  std::string out;
  record(out, Kind::header, [&](Writer& w) {
    w.text(magic);
    w.text(state.boot_id);
  });
  record(out, Kind::epoch, [&](Writer& w) { w.number(state.newest_epoch); });
  for (const auto& key : state.forgotten.order()) {
    put_key_record(out, Kind::forgotten, key);
  }
  for (const auto& [key, task] : state.tasks) {
    record(out, Kind::launched, [&](Writer& w) {
      put_key(w, key);
      w.number(task.status.started_at);
    });
    record(out, Kind::running, [&](Writer& w) {
      put_key(w, key);
      w.number(task.status.pid);
      w.number(task.boot_ns);
    });
    if (task.status.state == TaskState::exited) {
      put_exited(out, key, task.status.exit);
    } else if (task.status.state == TaskState::start_failed) {
      record(out, Kind::start_failed, [&](Writer& w) {
        put_key(w, key);
        w.text(task.status.error);
      });
    }
  }
  return out;
}

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(system_error("writing " + path, errno));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

void Forgotten::add(const TaskKey& key) {
  if (!keys_.insert(key).second) return;
  order_.push_back(key);
  if (order_.size() <= forgotten_max) return;
  keys_.erase(order_.front());
  order_.pop_front();
}

Expected<Journal> Journal::open(std::string path, JournalState& state) {
  Journal journal(std::move(path));
  journal.file_.reset(::open(journal.path_.c_str(),
                             O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!journal.file_) {
    return tl::unexpected(system_error("opening " + journal.path_, errno));
  }
  auto text = read_file(journal.path_);
  if (!text) return tl::unexpected(text.error());
  auto good = replay(*text, state);
  if (good == 0 && text->size() > prefix_bytes) {
    return fail(Errc::damaged, journal.path_ +
                                   " is not a journal of tasks, or its first "
                                   "record is damaged; move it away to start "
                                   "without it");
  }
  if (good != text->size()) {
    journal.warning_ = std::to_string(text->size() - good) +
                       " bytes at the end of " + journal.path_ +
                       " are torn or damaged and were cut off";
    if (::ftruncate(journal.file_.get(), static_cast<off_t>(good)) != 0) {
      return tl::unexpected(system_error("cutting " + journal.path_, errno));
    }
  }
  journal.size_ = good;
  journal.size_when_written_ = good;
  return journal;
}

void Journal::epoch(std::uint64_t newest) {
  record(pending_, Kind::epoch, [&](Writer& w) { w.number(newest); });
}

void Journal::launched(const TaskKey& key, std::uint64_t started_at) {
  record(pending_, Kind::launched, [&](Writer& w) {
    put_key(w, key);
    w.number(started_at);
  });
}

void Journal::running(const TaskKey& key, int pid, std::uint64_t boot_ns) {
  record(pending_, Kind::running, [&](Writer& w) {
    put_key(w, key);
    w.number(pid);
    w.number(boot_ns);
  });
}

void Journal::start_failed(const TaskKey& key, const std::string& error) {
  record(pending_, Kind::start_failed, [&](Writer& w) {
    put_key(w, key);
    w.text(error);
  });
}

void Journal::exited(const TaskKey& key, const ExitFacts& facts) {
  put_exited(pending_, key, facts);
}

void Journal::forgotten(const TaskKey& key) {
  put_key_record(pending_, Kind::forgotten, key);
}

Status Journal::flush() {
  if (pending_.empty()) return {};
  auto written = write_all(file_.get(), pending_, path_);
  if (!written) {
    // A part of a record may be there; what follows it could not be read.
    (void)!::ftruncate(file_.get(), static_cast<off_t>(size_));
    return written;
  }
  size_ += pending_.size();
  pending_.clear();
  return {};
}

bool Journal::wants_compaction() const {
  return size_ > journal_bytes_compact && size_ > 4 * size_when_written_;
}

Status Journal::rewrite(const JournalState& state) {
  auto fresh = path_ + ".new";
  Fd file(::open(fresh.c_str(),
                 O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!file) return tl::unexpected(system_error("making " + fresh, errno));
  auto bytes = whole(state);
  if (auto written = write_all(file.get(), bytes, fresh); !written) {
    return written;
  }
  if (::fdatasync(file.get()) != 0 ||
      std::rename(fresh.c_str(), path_.c_str()) != 0) {
    return tl::unexpected(system_error("replacing " + path_, errno));
  }
  file_ = std::move(file);
  size_ = size_when_written_ = bytes.size();
  pending_.clear();
  return {};
}

}  // namespace reeve::keeper
