#include "cluster/spec.hpp"

#include <cstring>

#include "cluster/check.hpp"
#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

namespace fb = flatbuffers;

template <class Value>
void put(std::string& out, Value value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

// Seven bits a byte, the last one below 128: most are a byte.
void put_count(std::string& out, std::uint32_t count) {
  for (; count >= 128; count >>= 7)
    out.push_back(static_cast<char>(count | 128));
  out.push_back(static_cast<char>(count));
}

void put_short(std::string& out, std::string_view text) {
  put_count(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

template <class Strings>
void put_texts(std::string& out, const Strings* texts) {
  put(out, texts ? static_cast<std::uint32_t>(texts->size()) : 0u);
  if (!texts) return;
  for (const auto* text : *texts) put_text(out, schema::text(text));
}

template <class PairsOf>
void put_pairs(std::string& out, const PairsOf* pairs) {
  put(out, pairs ? static_cast<std::uint32_t>(pairs->size()) : 0u);
  if (!pairs) return;
  for (const auto* pair : *pairs) {
    put_text(out, schema::text(pair->key()));
    put_text(out, schema::text(pair->value()));
  }
}

// Reads back what put wrote, in the same order.
class Source {
 public:
  explicit Source(std::string_view bytes) : rest_(bytes) {}

  template <class Value>
  Value get() {
    Value value;
    REEVE_CHECK(rest_.size() >= sizeof value, "a packed spec ends early");
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::uint32_t count() {
    std::uint32_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = get<std::uint8_t>();
      value |= (byte & 127u) << shift;
      if (byte < 128) return value;
    }
  }
  bool empty() const { return rest_.empty(); }
  std::string_view short_text() { return bytes(count()); }
  std::string_view text() { return bytes(get<std::uint32_t>()); }
  std::string_view bytes(std::size_t size) {
    REEVE_CHECK(rest_.size() >= size, "a packed text ends early");
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  std::vector<std::string_view> texts() {
    std::vector<std::string_view> out(get<std::uint32_t>());
    for (auto& item : out) item = text();
    return out;
  }
  Spec::Pairs pairs() {
    Spec::Pairs out(get<std::uint32_t>());
    for (auto& [key, value] : out) {
      key = text();
      value = text();
    }
    return out;
  }

 private:
  std::string_view rest_;
};

template <class Strings>
std::vector<std::string_view> views(const Strings* texts) {
  std::vector<std::string_view> out;
  if (!texts) return out;
  out.reserve(texts->size());
  for (const auto* text : *texts) out.push_back(schema::text(text));
  return out;
}

template <class PairsOf>
Spec::Pairs pair_views(const PairsOf* pairs) {
  Spec::Pairs out;
  if (!pairs) return out;
  for (const auto* pair : *pairs)
    out.emplace_back(schema::text(pair->key()), schema::text(pair->value()));
  return out;
}

}  // namespace

void pack_request(const schema::SessionSpec& spec, std::string& out) {
  out.clear();
  const auto& request = *spec.request();
  put(out, spec.tasks());
  put(out, spec.nodes());
  put(out, request.cpu_milli());
  put(out, request.memory_bytes());
  put(out, request.gpus());
  put(out, request.gpu_milli());
  put(out, request.gpu_memory_bytes());
  put(out, spec.simulated());
  put_text(out, schema::text(spec.group()));
  put_text(out, schema::text(spec.on_node()));
  put_texts(out, request.gpu_models());
  put_text(out, schema::text(spec.constraint()));
  put_texts(out, spec.prefer());
  put_text(out, schema::text(spec.together()));
  put_text(out, schema::text(spec.apart()));
  put_text(out, schema::text(spec.within()));
  put_text(out, schema::text(spec.reservation()));
}

void unpack_request(std::string_view packed, Spec& spec) {
  Source source(packed);
  spec.tasks = source.get<std::uint32_t>();
  spec.nodes = source.get<std::uint32_t>();
  spec.cpu_milli = source.get<std::uint32_t>();
  spec.memory_bytes = source.get<std::uint64_t>();
  spec.gpus = source.get<std::uint32_t>();
  spec.gpu_milli = source.get<std::uint32_t>();
  spec.gpu_memory_bytes = source.get<std::uint64_t>();
  spec.simulated = source.get<bool>();
  spec.group = source.text();
  spec.on_node = source.text();
  spec.gpu_models = source.texts();
  spec.constraint = source.text();
  spec.prefer = source.texts();
  spec.together = source.text();
  spec.apart = source.text();
  spec.within = source.text();
  spec.reservation = source.text();
}

void pack_context(const schema::SessionSpec& spec, std::string& out) {
  out.clear();
  put(out, spec.uid());
  put(out, spec.gid());
  put(out, spec.kind());
  put(out, spec.workdir_optional());
  put_text(out, schema::text(spec.user()));
  put_text(out, schema::text(spec.project()));
  put_text(out, schema::text(spec.workdir()));
  put_pairs(out, spec.env());
  put_pairs(out, spec.labels());
  put(out, spec.grace_ns());
  put(out, spec.warn_signal());
  put(out, spec.warn_ns());
  put(out, spec.on_preempt());
  put(out, spec.array_session());
  put(out, spec.array_running_max());
  put(out, spec.cut_off_ns());
  put(out, spec.after() ? spec.after()->size() : 0u);
  if (!spec.after()) return;
  for (const auto* dependency : *spec.after()) {
    put(out, dependency->session());
    put(out, dependency->kind());
  }
}

void unpack_context(std::string_view packed, Spec& spec) {
  Source source(packed);
  spec.uid = source.get<std::uint32_t>();
  spec.gid = source.get<std::uint32_t>();
  spec.kind = source.get<schema::SessionKind>();
  spec.workdir_optional = source.get<bool>();
  spec.user = source.text();
  spec.project = source.text();
  spec.workdir = source.text();
  spec.env = source.pairs();
  spec.labels = source.pairs();
  spec.grace_ns = source.get<std::uint64_t>();
  spec.warn_signal = source.get<std::uint8_t>();
  spec.warn_ns = source.get<std::uint64_t>();
  spec.on_preempt = source.get<schema::OnPreempt>();
  spec.array_session = source.get<std::uint64_t>();
  spec.array_running_max = source.get<std::uint32_t>();
  spec.cut_off_ns = source.get<std::uint64_t>();
  const auto count = source.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto session = source.get<std::uint64_t>();
    spec.after.emplace_back(session, source.get<schema::DependencyKind>());
  }
}

void pack_own(const schema::SessionSpec& spec, std::string& out) {
  out.clear();
  put_short(out, schema::text(spec.name()));
  put_count(out, spec.argv() ? spec.argv()->size() : 0);
  if (spec.argv())
    for (const auto* word : *spec.argv()) put_short(out, schema::text(word));
  if (spec.array_index() != 0) put_count(out, spec.array_index());
}

void unpack_own(std::string_view packed, Spec& spec) {
  Source source(packed);
  spec.name = source.short_text();
  spec.argv.resize(source.count());
  for (auto& word : spec.argv) word = source.short_text();
  spec.array_index = source.empty() ? 0 : source.count();
}

std::string_view unpack_name(std::string_view packed_own) {
  return Source(packed_own).short_text();
}

Spec spec_of(const schema::SessionSpec& from) {
  const auto& request = *from.request();
  Spec spec;
  spec.name = schema::text(from.name());
  spec.user = schema::text(from.user());
  spec.project = schema::text(from.project());
  spec.group = schema::text(from.group());
  spec.on_node = schema::text(from.on_node());
  spec.workdir = schema::text(from.workdir());
  spec.kind = from.kind();
  spec.priority = from.priority();
  spec.tasks = from.tasks();
  spec.nodes = from.nodes();
  spec.cpu_milli = request.cpu_milli();
  spec.memory_bytes = request.memory_bytes();
  spec.gpus = request.gpus();
  spec.gpu_milli = request.gpu_milli();
  spec.gpu_memory_bytes = request.gpu_memory_bytes();
  spec.gpu_models = views(request.gpu_models());
  spec.time_limit_ns = from.time_limit_ns();
  spec.not_before_at = from.not_before_at();
  spec.requeue_max = from.requeue_max();
  if (from.after())
    for (const auto* dependency : *from.after())
      spec.after.push_back(*dependency);
  spec.labels = pair_views(from.labels());
  spec.argv = views(from.argv());
  spec.env = pair_views(from.env());
  spec.uid = from.uid();
  spec.gid = from.gid();
  spec.simulated = from.simulated();
  spec.sim_duration_ns = from.sim_duration_ns();
  spec.workdir_optional = from.workdir_optional();
  spec.constraint = schema::text(from.constraint());
  spec.prefer = views(from.prefer());
  spec.together = schema::text(from.together());
  spec.apart = schema::text(from.apart());
  spec.within = schema::text(from.within());
  spec.grace_ns = from.grace_ns();
  spec.warn_signal = from.warn_signal();
  spec.warn_ns = from.warn_ns();
  spec.on_preempt = from.on_preempt();
  spec.reservation = schema::text(from.reservation());
  spec.array_session = from.array_session();
  spec.array_index = from.array_index();
  spec.array_running_max = from.array_running_max();
  spec.cut_off_ns = from.cut_off_ns();
  return spec;
}

fb::Offset<fb::String> build_text(fb::FlatBufferBuilder& builder,
                                  std::string_view text) {
  if (text.empty()) return 0;
  return builder.CreateString(text.data(), text.size());
}

fb::Offset<fb::Vector<fb::Offset<fb::String>>> build_texts(
    fb::FlatBufferBuilder& builder,
    const std::vector<std::string_view>& texts) {
  if (texts.empty()) return 0;
  std::vector<fb::Offset<fb::String>> offsets;
  offsets.reserve(texts.size());
  for (const auto text : texts)
    offsets.push_back(builder.CreateString(text.data(), text.size()));
  return builder.CreateVector(offsets);
}

fb::Offset<fb::Vector<fb::Offset<schema::KeyValue>>> build_pairs(
    fb::FlatBufferBuilder& builder, const Spec::Pairs& pairs) {
  if (pairs.empty()) return 0;
  std::vector<fb::Offset<schema::KeyValue>> offsets;
  offsets.reserve(pairs.size());
  for (const auto& [key, value] : pairs) {
    const auto key_text = builder.CreateString(key.data(), key.size());
    const auto value_text = builder.CreateString(value.data(), value.size());
    offsets.push_back(schema::CreateKeyValue(builder, key_text, value_text));
  }
  return builder.CreateVector(offsets);
}

fb::Offset<schema::ResourceRequest> build_request(
    fb::FlatBufferBuilder& builder, const Spec& spec) {
  const auto models = build_texts(builder, spec.gpu_models);
  return schema::CreateResourceRequest(
      builder, spec.cpu_milli, spec.memory_bytes, spec.gpus, spec.gpu_milli,
      spec.gpu_memory_bytes, models);
}

fb::Offset<schema::SessionSpec> build_spec(fb::FlatBufferBuilder& builder,
                                           const Spec& spec) {
  const auto name = build_text(builder, spec.name);
  const auto user = build_text(builder, spec.user);
  const auto project = build_text(builder, spec.project);
  const auto group = build_text(builder, spec.group);
  const auto request = build_request(builder, spec);
  const auto on_node = build_text(builder, spec.on_node);
  const auto after =
      spec.after.empty() ? 0 : builder.CreateVectorOfStructs(spec.after);
  const auto labels = build_pairs(builder, spec.labels);
  const auto argv = build_texts(builder, spec.argv);
  const auto env = build_pairs(builder, spec.env);
  const auto workdir = build_text(builder, spec.workdir);
  const auto constraint = build_text(builder, spec.constraint);
  const auto prefer = build_texts(builder, spec.prefer);
  const auto together = build_text(builder, spec.together);
  const auto apart = build_text(builder, spec.apart);
  const auto within = build_text(builder, spec.within);
  const auto reservation = build_text(builder, spec.reservation);
  return schema::CreateSessionSpec(
      builder, name, user, project, group, spec.kind, spec.priority, spec.tasks,
      spec.nodes, request, spec.time_limit_ns, spec.not_before_at,
      spec.requeue_max, on_node, after, labels, argv, env, workdir, spec.uid,
      spec.gid, spec.simulated, spec.sim_duration_ns, spec.workdir_optional,
      constraint, prefer, together, apart, within, spec.grace_ns,
      spec.warn_signal, spec.warn_ns, spec.on_preempt, reservation,
      spec.array_session, spec.array_index, spec.array_running_max,
      spec.cut_off_ns);
}

}  // namespace reeve::cluster
