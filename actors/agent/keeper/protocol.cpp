#include "actors/agent/keeper/protocol.hpp"

#include "actors/agent/keeper/codec.hpp"

namespace reeve::keeper {

std::string to_string(const TaskKey& key) {
  return std::to_string(key.session) + '.' + std::to_string(key.attempt) + '.' +
         std::to_string(key.rank);
}

const char* to_string(TaskState state) {
  switch (state) {
    case TaskState::queued: return "queued";
    case TaskState::running: return "running";
    case TaskState::exited: return "exited";
    case TaskState::start_failed: return "start_failed";
  }
  return "unknown";
}

namespace {

using gpu::share::DeviceShare;

template <class V>
void fields(V& visit, auto& share) requires
    std::is_same_v<std::remove_cvref_t<decltype(share)>, DeviceShare> {
  visit(share.uuid), visit(share.memory_bytes), visit(share.compute_milli);
  visit(share.begin_milli), visit(share.period_ns);
}

// One list of fields per type serves both directions.
struct Put {
  Writer out;
  template <class T>
  void operator()(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      out.text(value);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      out.texts(value);
    } else if constexpr (std::is_same_v<T, std::vector<std::uint32_t>>) {
      out.number(static_cast<std::uint32_t>(value.size()));
      for (auto item : value) out.number(item);
    } else if constexpr (std::is_same_v<T, std::vector<DeviceShare>>) {
      out.number(static_cast<std::uint32_t>(value.size()));
      for (const auto& item : value) fields(*this, item);
    } else {
      out.number(value);
    }
  }
};

struct Get {
  Reader& in;
  template <class T>
  void operator()(T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      value = in.text();
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      value = in.texts();
    } else if constexpr (std::is_same_v<T, std::vector<std::uint32_t>>) {
      auto count = in.number<std::uint32_t>();
      while (in.ok() && count-- > 0) {
        value.push_back(in.number<std::uint32_t>());
      }
    } else if constexpr (std::is_same_v<T, std::vector<DeviceShare>>) {
      auto count = in.number<std::uint32_t>();
      while (in.ok() && count-- > 0) fields(*this, value.emplace_back());
    } else if constexpr (std::is_same_v<T, bool>) {
      value = in.number<std::uint8_t>() != 0;
    } else {
      value = in.number<T>();
    }
  }
};

template <class V>
void fields(V&& visit, auto& key) requires
    std::is_same_v<std::remove_cvref_t<decltype(key)>, TaskKey> {
  visit(key.session), visit(key.attempt), visit(key.rank);
}

template <class V>
void fields(V&& visit, auto& spec) requires
    std::is_same_v<std::remove_cvref_t<decltype(spec)>, TaskSpec> {
  fields(visit, spec.key);
  visit(spec.epoch), visit(spec.argv), visit(spec.env), visit(spec.workdir);
  visit(spec.workdir_optional);
  visit(spec.uid), visit(spec.gid), visit(spec.groups);
  visit(spec.memory_bytes), visit(spec.cpu_milli), visit(spec.pids_max);
  visit(spec.open_files_max), visit(spec.device_paths);
  visit(spec.output_bytes_max), visit(spec.gpus), visit(spec.share_library);
  visit(spec.mps_directory), visit(spec.cut_off_ns);
}

template <class V>
void fields(V&& visit, auto& facts) requires
    std::is_same_v<std::remove_cvref_t<decltype(facts)>, ExitFacts> {
  visit(facts.exit_code), visit(facts.signal), visit(facts.memory_killed);
  visit(facts.peak_memory_bytes), visit(facts.cpu_ns);
  visit(facts.started_at), visit(facts.ended_at), visit(facts.lost);
  visit(facts.detail);
}

template <class V>
void fields(V&& visit, auto& status) requires
    std::is_same_v<std::remove_cvref_t<decltype(status)>, TaskStatus> {
  fields(visit, status.key);
  visit(status.state), visit(status.pid), visit(status.started_at);
  fields(visit, status.exit);
  visit(status.error), visit(status.note), visit(status.gpus);
}

template <class V, class M>
void message_fields(V&& visit, M& m) {
  using T = std::remove_const_t<M>;
  if constexpr (std::is_same_v<T, Hello>) {
    visit(m.version);
  } else if constexpr (std::is_same_v<T, Launch>) {
    fields(visit, m.spec);
  } else if constexpr (std::is_same_v<T, Stop>) {
    fields(visit, m.key), visit(m.grace_ms);
  } else if constexpr (std::is_same_v<T, Signal>) {
    fields(visit, m.key), visit(m.signo);
  } else if constexpr (std::is_same_v<T, List>) {
    visit(m.request);
  } else if constexpr (std::is_same_v<T, Forget>) {
    fields(visit, m.key);
  } else if constexpr (std::is_same_v<T, Shutdown>) {
    visit(m.grace_ms);
  } else if constexpr (std::is_same_v<T, Welcome>) {
    visit(m.version), visit(m.pid), visit(m.newest_epoch), visit(m.limits);
  } else if constexpr (std::is_same_v<T, Started>) {
    fields(visit, m.key), visit(m.pid), visit(m.started_at), visit(m.note);
  } else if constexpr (std::is_same_v<T, StartFailed>) {
    fields(visit, m.key), visit(m.error);
  } else if constexpr (std::is_same_v<T, Exited>) {
    fields(visit, m.key), fields(visit, m.facts);
  } else if constexpr (std::is_same_v<T, Output>) {
    fields(visit, m.key), visit(m.stream), visit(m.offset), visit(m.bytes);
  } else if constexpr (std::is_same_v<T, Refused>) {
    fields(visit, m.key), visit(m.code), visit(m.text);
  } else if constexpr (std::is_same_v<T, KeepOutput>) {
    visit(m.bytes_max);
  } else if constexpr (std::is_same_v<T, Heard>) {
    visit(m.boot_ns);
  }
}

void put_message(Writer out, const Listed& m) {
  out.number(m.request);
  out.number(m.last);
  out.number(m.newest_session);
  out.number(static_cast<std::uint32_t>(m.tasks.size()));
  Put put{out};
  for (const auto& task : m.tasks) fields(put, task);
}

void get_message(Reader& in, Listed& m) {
  m.request = in.number<std::uint32_t>();
  m.last = in.number<std::uint8_t>() != 0;
  m.newest_session = in.number<std::uint64_t>();
  auto count = in.number<std::uint32_t>();
  Get get{in};
  while (in.ok() && count-- > 0) fields(get, m.tasks.emplace_back());
}

template <class M>
void put_message(Writer out, const M& m) {
  Put put{out};
  message_fields(put, m);
}

template <class M>
void get_message(Reader& in, M& m) {
  Get get{in};
  message_fields(get, m);
}

template <std::size_t I = 0>
bool decode_kind(std::size_t kind, Reader& in, Message& out) {
  if constexpr (I < std::variant_size_v<Message>) {
    if (kind != I) return decode_kind<I + 1>(kind, in, out);
    get_message(in, out.emplace<I>());
    return true;
  } else {
    return false;
  }
}

constexpr std::size_t header_bytes = 4;
// Kind, request, last, newest session and count: what a `Listed` frame has
// beside its statuses.
constexpr std::size_t list_head_bytes = 1 + 4 + 1 + 8 + 4;

}  // namespace

void encode(const Message& message, std::string& out) {
  auto start = out.size();
  out.append(header_bytes, '\0');
  Writer writer(out);
  writer.number(static_cast<std::uint8_t>(message.index()));
  std::visit([&](const auto& m) { put_message(writer, m); }, message);
  auto length = static_cast<std::uint32_t>(out.size() - start - header_bytes);
  std::memcpy(out.data() + start, &length, sizeof length);
}

void encode_list(std::uint32_t request, std::uint64_t newest_session,
                 std::vector<TaskStatus> all, std::string& out) {
  Listed part{request, false, newest_session, {}};
  std::size_t bytes = list_head_bytes;
  for (auto& status : all) {
    std::string one;
    Put put{Writer(one)};
    fields(put, status);
    const bool full = part.tasks.size() == listed_per_frame_max ||
                      bytes + one.size() > frame_bytes_max;
    if (full && !part.tasks.empty()) {
      encode(part, out);
      part.tasks.clear();
      bytes = list_head_bytes;
    }
    bytes += one.size();
    part.tasks.push_back(std::move(status));
  }
  part.last = true;
  encode(part, out);
}

std::string cut_text(std::string text, std::size_t bytes_max) {
  constexpr std::string_view rest = "...";
  if (text.size() <= bytes_max) return text;
  auto end = bytes_max - rest.size();
  // Not within a character: those of UTF-8 have up to three bytes more.
  for (int back = 0; back < 3 && (text[end] & 0xc0) == 0x80; ++back) --end;
  text.resize(end);
  text += rest;
  return text;
}

void encode(const LaunchOrder& order, std::string& out) {
  Put put{Writer(out)};
  fields(put, order.spec);
  put(order.scratch);
}

bool decode(std::string_view bytes, LaunchOrder& order) {
  Reader in(bytes);
  Get get{in};
  fields(get, order.spec);
  get(order.scratch);
  return in.complete();
}

Expected<std::optional<Message>> FrameReader::next() {
  auto rest = std::string_view(pending_).substr(at_);
  if (rest.size() < header_bytes) {
    pending_.erase(0, at_);
    at_ = 0;
    return std::nullopt;
  }
  std::uint32_t length = 0;
  std::memcpy(&length, rest.data(), sizeof length);
  if (length == 0 || length > frame_bytes_max) {
    return fail(Errc::damaged, "the keeper's socket carried a frame of " +
                                   std::to_string(length) + " bytes; at most " +
                                   std::to_string(frame_bytes_max) +
                                   " are allowed");
  }
  if (rest.size() < header_bytes + length) {
    pending_.erase(0, at_);
    at_ = 0;
    return std::nullopt;
  }
  Reader reader(rest.substr(header_bytes, length));
  auto kind = reader.number<std::uint8_t>();
  Message message;
  if (!decode_kind(kind, reader, message) || !reader.complete()) {
    return fail(Errc::damaged, "the keeper's socket carried a frame of kind " +
                                   std::to_string(kind) + " and " +
                                   std::to_string(length) +
                                   " bytes that does not decode");
  }
  at_ += header_bytes + length;
  return std::optional<Message>(std::move(message));
}

}  // namespace reeve::keeper
