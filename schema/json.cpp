#include "schema/json.hpp"

#include <flatbuffers/minireflect.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace reeve::schema {
namespace {

namespace fb = flatbuffers;

bool ends_with_at(std::string_view name) {
  return name.size() > 3 && name.substr(name.size() - 3) == "_at";
}

// Length of the well-formed UTF-8 sequence at `text`, or 0.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char lead = byte(0);
  std::size_t length = 0;
  std::uint32_t code = 0;
  if (lead < 0x80) return 1;
  if ((lead & 0xE0) == 0xC0)
    length = 2, code = lead & 0x1Fu;
  else if ((lead & 0xF0) == 0xE0)
    length = 3, code = lead & 0x0Fu;
  else if ((lead & 0xF8) == 0xF0)
    length = 4, code = lead & 0x07u;
  else
    return 0;
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  static constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < least[length] || code > 0x10FFFF) return 0;
  if (code >= 0xD800 && code <= 0xDFFF) return 0;
  return length;
}

// A scalar that equals its default is not stored, and the generated type
// tables do not tell defaults: here are those that are not zero. A test
// compares them with the schemas.
struct NonZeroDefault {
  const fb::TypeTable* type;
  std::string_view field;
  std::uint64_t bits;
};

std::uint64_t default_of(const fb::TypeTable* type, std::string_view field) {
  static const NonZeroDefault all[] = {
      {ResourceRequestTypeTable(), "gpu_milli", 1000},
      {SessionSpecTypeTable(), "tasks", 1},
      {DeviceSpecTypeTable(), "numa_node", static_cast<std::uint64_t>(-1)},
      {AccountSpecTypeTable(), "weight_milli", 1000},
      {AccountSpecTypeTable(), "priority_max", INT32_MAX},
      {QuotaLimitsTypeTable(), "sessions", INT64_MAX},
      {QuotaLimitsTypeTable(), "waiting", INT64_MAX},
      {QuotaLimitsTypeTable(), "cpu_milli", INT64_MAX},
      {QuotaLimitsTypeTable(), "memory_bytes", INT64_MAX},
      {QuotaLimitsTypeTable(), "gpu_milli", INT64_MAX},
      {QuotaLimitsTypeTable(), "gpu_milli_hours", INT64_MAX},
      {OutputReadTypeTable(), "stream", 1},
      {OutputChunkTypeTable(), "stream", 1},
  };
  for (const NonZeroDefault& one : all)
    if (one.type == type && one.field == field) return one.bits;
  return 0;
}

// The generated type tables do not tell which numbers may be null; a test
// compares this with the schemas.
bool may_be_null(const fb::TypeTable* type, std::string_view field) {
  return type == DeviceStatsTypeTable() || type == ProgramStatsTypeTable() ||
         (type == SessionViewTypeTable() && field == "first_failed");
}

// Walks one table and writes it. The key of the field at hand decides how a
// 64-bit number reads.
class Writer {
 public:
  Writer(std::string& out, IsNull is_null) : out_(out), is_null_(is_null) {}

  void object(const void* data, const fb::TypeTable* type) {
    out_ += '{';
    bool first = true;
    members(data, type, first);
    out_ += '}';
  }

 private:
  void key(std::string_view name, bool& first) {
    if (!first) out_ += ',';
    first = false;
    append_json_string(out_, name);
    out_ += ':';
  }

  void members(const void* data, const fb::TypeTable* type, bool& first) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    const bool table = type->st == fb::ST_TABLE;
    const std::uint8_t* previous = nullptr;
    for (std::size_t i = 0; i < type->num_elems; ++i) {
      const fb::TypeCode code = type->type_codes[i];
      const auto base = static_cast<fb::ElementaryType>(code.base_type);
      const std::uint8_t* value =
          table ? reinterpret_cast<const fb::Table*>(bytes)->GetAddressOf(
                      fb::FieldIndexToOffset(static_cast<fb::voffset_t>(i)))
                : bytes + type->values[i];
      const fb::TypeTable* child = code.sequence_ref >= 0
                                       ? type->type_refs[code.sequence_ref]()
                                       : nullptr;
      const std::string_view name = type->names[i];
      if (is_null_ && is_null_(data, type, name)) {
        key(name, first);
        out_ += "null";
        continue;
      }
      field(type, name, code, base, value, previous, child, first);
      previous = value;
    }
  }

  void field(const fb::TypeTable* type, std::string_view name,
             fb::TypeCode code, fb::ElementaryType base,
             const std::uint8_t* value, const std::uint8_t* previous,
             const fb::TypeTable* child, bool& first) {
    if (base == fb::ET_UTYPE) {
      if (value == nullptr || *value == 0) return;
      key(name, first);
      if (*value < child->num_elems)
        append_json_string(out_, snake_case(child->names[*value]));
      else
        number(fb::ET_UCHAR, *value);
      return;
    }
    const bool reference =
        code.is_repeating || base == fb::ET_STRING || base == fb::ET_SEQUENCE;
    if (value == nullptr && (reference || may_be_null(type, name))) return;
    if (base == fb::ET_SEQUENCE && child->st == fb::ST_UNION) {
      const std::uint8_t kind = previous ? *previous : 0;
      // A kind of a later release is told by its number alone.
      if (kind == 0 || kind >= child->num_elems) return;
      key(name, first);
      const auto* inner =
          child->type_refs[child->type_codes[kind].sequence_ref]();
      object(follow(value), inner);
      return;
    }
    key(name, first);
    if (code.is_repeating) return vector(name, base, follow(value), child);
    const std::uint64_t unset = value ? 0 : default_of(type, name);
    scalar(name, base, value, child, true, unset);
  }

  static const std::uint8_t* follow(const std::uint8_t* value) {
    return value + fb::ReadScalar<fb::uoffset_t>(value);
  }

  void vector(std::string_view name, fb::ElementaryType base,
              const std::uint8_t* data, const fb::TypeTable* child) {
    const auto* items = reinterpret_cast<const fb::Vector<std::uint8_t>*>(data);
    const std::size_t step =
        base == fb::ET_SEQUENCE && child->st == fb::ST_STRUCT
            ? static_cast<std::size_t>(child->values[child->num_elems])
            : fb::InlineSize(base, child);
    out_ += '[';
    for (fb::uoffset_t i = 0; i < items->size(); ++i) {
      if (i != 0) out_ += ',';
      scalar(name, base, items->Data() + i * step, child, false);
    }
    out_ += ']';
  }

  void scalar(std::string_view name, fb::ElementaryType base,
              const std::uint8_t* value, const fb::TypeTable* child,
              bool in_object, std::uint64_t unset = 0) {
    if (base == fb::ET_STRING) {
      const auto* string = reinterpret_cast<const fb::String*>(follow(value));
      return append_json_string(out_, {string->c_str(), string->size()});
    }
    if (base == fb::ET_SEQUENCE) {
      if (child->st == fb::ST_TABLE) return object(follow(value), child);
      if (child->names[0] == std::string_view("high"))
        return append_json_string(out_,
                                  hex(*reinterpret_cast<const Id128*>(value)));
      return object(value, child);
    }
    const std::uint64_t bits = value ? read(base, value) : unset;
    if (child != nullptr && child->st == fb::ST_ENUM)
      return name_of(bits, child);
    if (base == fb::ET_BOOL) {
      out_ += bits != 0 ? "true" : "false";
      return;
    }
    if (base == fb::ET_ULONG && in_object && ends_with_at(name)) {
      if (bits == 0) {
        out_ += "null";
      } else {
        append_json_string(out_, rfc3339(bits));
      }
      return;
    }
    number(base, bits);
  }

  void number(fb::ElementaryType base, std::uint64_t bits) {
    if (base == fb::ET_DOUBLE) return real(std::bit_cast<double>(bits));
    const bool is_signed = base == fb::ET_CHAR || base == fb::ET_SHORT ||
                           base == fb::ET_INT || base == fb::ET_LONG;
    if (is_signed) {
      fmt::format_to(std::back_inserter(out_), "{}",
                     static_cast<std::int64_t>(bits));
    } else {
      fmt::format_to(std::back_inserter(out_), "{}", bits);
    }
  }

  // JSON has no other numbers.
  void real(double value) {
    if (std::isfinite(value))
      fmt::format_to(std::back_inserter(out_), "{}", value);
    else
      out_ += "null";
  }

  void name_of(std::uint64_t value, const fb::TypeTable* type) {
    for (std::size_t i = 0; i < type->num_elems; ++i) {
      const auto known =
          type->values ? static_cast<std::uint64_t>(type->values[i]) : i;
      if (known == value) return append_json_string(out_, type->names[i]);
    }
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }

  static std::uint64_t read(fb::ElementaryType base, const std::uint8_t* p) {
    switch (base) {
      case fb::ET_CHAR:
        return static_cast<std::uint64_t>(fb::ReadScalar<std::int8_t>(p));
      case fb::ET_SHORT:
        return static_cast<std::uint64_t>(fb::ReadScalar<std::int16_t>(p));
      case fb::ET_INT:
        return static_cast<std::uint64_t>(fb::ReadScalar<std::int32_t>(p));
      case fb::ET_LONG:
      case fb::ET_DOUBLE:  // its bits
      case fb::ET_ULONG: return fb::ReadScalar<std::uint64_t>(p);
      case fb::ET_USHORT: return fb::ReadScalar<std::uint16_t>(p);
      case fb::ET_UINT: return fb::ReadScalar<std::uint32_t>(p);
      default: return *p;
    }
  }

  std::string& out_;
  const IsNull is_null_;
};

template <class Table>
std::string json_of(const Table& table, const fb::TypeTable* type) {
  std::string out;
  append_json(out, &table, type);
  return out;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const unsigned char c = static_cast<unsigned char>(text[0]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[0];
    } else if (c < 0x20 || c == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    } else if (const std::size_t length = utf8_length(text)) {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
      continue;
    } else {
      out += "\xEF\xBF\xBD";
    }
    text.remove_prefix(1);
  }
  out += '"';
}

// Days to civil date: Howard Hinnant, "chrono-compatible low-level date
// algorithms".
std::string rfc3339(std::uint64_t time_at) {
  const std::uint64_t seconds = time_at / 1'000'000'000;
  const std::uint64_t day_second = seconds % 86'400;
  const std::uint64_t days = seconds / 86'400 + 719'468;
  const std::uint64_t era = days / 146'097;
  const std::uint64_t doe = days - era * 146'097;
  const std::uint64_t yoe =
      (doe - doe / 1460 + doe / 36'524 - doe / 146'096) / 365;
  const std::uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::uint64_t mp = (5 * doy + 2) / 153;
  const std::uint64_t day = doy - (153 * mp + 2) / 5 + 1;
  const std::uint64_t month = mp < 10 ? mp + 3 : mp - 9;
  const std::uint64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", year, month,
                     day, day_second / 3600, day_second / 60 % 60,
                     day_second % 60, time_at % 1'000'000'000);
}

std::string hex(const Id128& id) {
  return fmt::format("{:016x}{:016x}", id.high(), id.low());
}

void append_json(std::string& out, const void* table,
                 const flatbuffers::TypeTable* type, IsNull is_null) {
  Writer(out, is_null).object(table, type);
}

std::string snake_case(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      if (!out.empty()) out += '_';
      out += static_cast<char>(c - 'A' + 'a');
    } else {
      out += c;
    }
  }
  return out;
}

std::string to_json(const Event& event) {
  return json_of(event, EventTypeTable());
}
std::string to_json(const SessionView& view) {
  return json_of(view, SessionViewTypeTable());
}
std::string to_json(const NodeView& view) {
  return json_of(view, NodeViewTypeTable());
}
std::string to_json(const WhyAnswer& answer) {
  return json_of(answer, WhyAnswerTypeTable());
}
std::string to_json(const StatusAnswer& answer) {
  return json_of(answer, StatusAnswerTypeTable());
}
std::string to_json(const Command& command) {
  return json_of(command, CommandTypeTable());
}
std::string to_json(const NodeStats& stats) {
  return json_of(stats, NodeStatsTypeTable());
}

}  // namespace reeve::schema
