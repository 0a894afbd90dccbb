#include "schema/sample.hpp"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "schema/json.hpp"

namespace reeve::schema::testing {

namespace json = boost::json;
using reflection::BaseType;

namespace {

const std::string space = "reeve.schema.";

flatbuffers::IDLOptions parser_options() {
  flatbuffers::IDLOptions options;
  options.strict_json = true;
  return options;
}

bool is_scalar(BaseType base) {
  return base >= BaseType::Bool && base <= BaseType::Double;
}

// The fields by id: reflection lists them by name.
std::vector<const reflection::Field*> fields_of(
    const reflection::Object& object) {
  std::vector<const reflection::Field*> fields(object.fields()->size());
  for (const auto* field : *object.fields()) fields[field->id()] = field;
  return fields;
}

bool is_id(const reflection::Object& object) {
  return short_name(object.name()) == "Id128";
}

std::string id_text(const json::object& id) {
  return fmt::format("{:016x}{:016x}", id.at("high").to_number<std::uint64_t>(),
                     id.at("low").to_number<std::uint64_t>());
}

bool is_time(const reflection::Field& field) {
  const std::string name = field.name()->str();
  return name.size() > 3 && name.substr(name.size() - 3) == "_at" &&
         field.type()->base_type() == BaseType::ULong;
}

}  // namespace

std::string short_name(const flatbuffers::String* name) {
  const std::string text = name->str();
  return text.substr(text.rfind('.') + 1);
}

Aligned::Aligned(const void* data, std::size_t size)
    : words_(size / 8 + 1), size_(size) {
  std::memcpy(words_.data(), data, size);
}

std::span<const std::byte> Aligned::bytes() const {
  return {reinterpret_cast<const std::byte*>(words_.data()), size_};
}

Schemas::Schemas(const std::filesystem::path& directory)
    : parser_(parser_options()) {
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".fbs")
      all += fmt::format("include \"{}\";\n", entry.path().filename().string());
  load(all, directory);
}

Schemas::Schemas(const std::string& text) : parser_(parser_options()) {
  load(text, ".");
}

void Schemas::load(const std::string& text,
                   const std::filesystem::path& directory) {
  const std::string folder = directory.string();
  const char* folders[] = {folder.c_str(), nullptr};
  const std::string file = (directory / "all.fbs").string();
  if (!parser_.Parse(text.c_str(), folders, file.c_str()))
    throw std::runtime_error(parser_.error_);
  parser_.Serialize();
  reflection_.assign(
      reinterpret_cast<const char*>(parser_.builder_.GetBufferPointer()),
      parser_.builder_.GetSize());
  parser_.builder_.Clear();
}

const reflection::Schema& Schemas::reflected() const {
  return *reflection::GetSchema(reflection_.data());
}

const reflection::Object& Schemas::object(const std::string& table) const {
  const auto* found =
      reflected().objects()->LookupByKey((space + table).c_str());
  if (found == nullptr) throw std::runtime_error("no table " + table);
  return *found;
}

std::vector<std::string> Schemas::members(const std::string& name) const {
  const auto* found = reflected().enums()->LookupByKey((space + name).c_str());
  if (found == nullptr) throw std::runtime_error("no union " + name);
  std::vector<std::string> all;
  for (const auto* value : *found->values())
    if (value->value() != 0) all.push_back(value->name()->str());
  return all;
}

json::value Schemas::value_of(const reflection::Type& type, BaseType base,
                              const std::string& body, Fill fill,
                              std::uint64_t& counter) const {
  if (base == BaseType::Obj)
    return fill_object(
        *(*reflected().objects())[static_cast<unsigned>(type.index())], body,
        fill, counter);
  if (base == BaseType::String)
    return json::string(fmt::format("text {} \"\\\n\xC3\xA9", ++counter));
  if (base == BaseType::Bool) return true;
  if (type.index() >= 0) {  // the last value of an enum
    const auto* values =
        (*reflected().enums())[static_cast<unsigned>(type.index())]->values();
    return json::string((*values)[values->size() - 1]->name()->str());
  }
  ++counter;
  return base == BaseType::Byte || base == BaseType::UByte ? counter % 100
                                                           : counter + 1'000;
}

json::object Schemas::fill_object(const reflection::Object& object,
                                  const std::string& body, Fill fill,
                                  std::uint64_t& counter) const {
  json::object out;
  for (const auto* field : fields_of(object)) {
    const auto& type = *field->type();
    const std::string name = field->name()->str();
    const bool bare = fill == Fill::sparse && !object.is_struct();
    if (type.base_type() == BaseType::UType) continue;
    if (type.base_type() == BaseType::Union) {
      const auto* of =
          (*reflected().enums())[static_cast<unsigned>(type.index())];
      const reflection::EnumVal* chosen = nullptr;
      for (const auto* value : *of->values()) {
        if (value->value() == 0) continue;
        if (chosen == nullptr || value->name()->str() == body) chosen = value;
      }
      out[name + "_type"] = chosen->name()->str();
      out[name] =
          value_of(*chosen->union_type(), BaseType::Obj, body, fill, counter);
    } else if (type.base_type() == BaseType::Vector) {
      if (bare && is_scalar(type.element())) continue;
      json::array items;
      for (int i = 0; i < 2; ++i)
        items.push_back(value_of(type, type.element(), body, fill, counter));
      out[name] = std::move(items);
    } else if (!bare || type.base_type() == BaseType::Obj ||
               field->required()) {
      out[name] = value_of(type, type.base_type(), body, fill, counter);
    }
  }
  return out;
}

json::object Schemas::sample(const std::string& table, const std::string& body,
                             Fill fill) const {
  std::uint64_t counter = 0;
  return fill_object(object(table), body, fill, counter);
}

Aligned Schemas::binary(const std::string& table, const std::string& identifier,
                        const json::object& value, bool size_prefixed) {
  parser_.opts.size_prefixed = size_prefixed;
  parser_.file_identifier_ = identifier;
  if (!parser_.SetRootType((space + table).c_str()) ||
      !parser_.Parse(json::serialize(value).c_str()))
    throw std::runtime_error(table + ": " + parser_.error_);
  return {parser_.builder_.GetBufferPointer(), parser_.builder_.GetSize()};
}

void Schemas::compare_value(const reflection::Field& field, BaseType base,
                            const json::value& sample, const json::value& made,
                            const std::string& path,
                            std::vector<std::string>& wrong) const {
  const auto& type = *field.type();
  const auto differs = [&](const json::value& wanted) {
    if (wanted == made) return;
    wrong.push_back(fmt::format("{}: wanted {}, is {}", path,
                                json::serialize(wanted),
                                json::serialize(made)));
  };
  if (base == BaseType::Obj) {
    const auto& object =
        *(*reflected().objects())[static_cast<unsigned>(type.index())];
    if (is_id(object))
      return differs(json::string(id_text(sample.as_object())));
    if (made.is_object())
      return compare(object, sample.as_object(), made.as_object(), path, wrong);
    return differs(sample);
  }
  if (is_time(field))
    return differs(json::string(rfc3339(sample.to_number<std::uint64_t>())));
  if (sample.is_number() && made.is_number())
    return differs(json::value(
        made.is_int64() ? json::value(sample.to_number<std::int64_t>())
                        : json::value(sample.to_number<std::uint64_t>())));
  differs(sample);
}

// A scalar that is not stored has its default, unless it may be null; anything
// else is left out.
void Schemas::compare_absent(const reflection::Field& field,
                             const json::object& made, const std::string& path,
                             std::vector<std::string>& wrong) const {
  const auto& type = *field.type();
  const auto* value = made.if_contains(field.name()->str());
  if (!is_scalar(type.base_type()) || field.optional()) {
    if (value != nullptr) wrong.push_back(path + ": is there, but not set");
    return;
  }
  json::value wanted = field.default_integer();
  if (type.base_type() == BaseType::Bool)
    wanted = field.default_integer() != 0;
  else if (is_time(field))
    wanted = nullptr;
  else if (type.index() >= 0)
    for (const auto* one :
         *(*reflected().enums())[static_cast<unsigned>(type.index())]->values())
      if (one->value() == field.default_integer()) wanted = one->name()->str();
  if (value == nullptr || *value != wanted)
    wrong.push_back(fmt::format("{}: wanted its default {}, is {}", path,
                                json::serialize(wanted),
                                value ? json::serialize(*value) : "absent"));
}

void Schemas::compare(const reflection::Object& table,
                      const json::object& sample, const json::object& made,
                      const std::string& path,
                      std::vector<std::string>& wrong) const {
  std::size_t keys = 0;
  for (const auto* field : fields_of(table)) {
    const std::string name = field->name()->str();
    const std::string where = path + "." + name;
    const BaseType base = field->type()->base_type();
    if (base == BaseType::UType) continue;
    const auto* given = sample.if_contains(name);
    const auto* value = made.if_contains(name);
    keys += value != nullptr;
    if (given == nullptr) {
      compare_absent(*field, made, where, wrong);
    } else if (value == nullptr) {
      wrong.push_back(where + ": is missing");
    } else if (base == BaseType::Union) {
      ++keys;
      const std::string kind(sample.at(name + "_type").as_string());
      const auto* shown = made.if_contains(name + "_type");
      if (shown == nullptr || *shown != json::value(snake_case(kind)))
        wrong.push_back(where + "_type: wanted " + snake_case(kind));
      compare(object(kind), given->as_object(), value->as_object(), where,
              wrong);
    } else if (base == BaseType::Vector) {
      const json::array* items = value->if_array();
      if (items == nullptr || items->size() != given->as_array().size()) {
        wrong.push_back(where + ": other length");
        continue;
      }
      for (std::size_t i = 0; i < items->size(); ++i)
        compare_value(*field, field->type()->element(), given->as_array()[i],
                      (*items)[i], fmt::format("{}[{}]", where, i), wrong);
    } else {
      compare_value(*field, base, *given, *value, where, wrong);
    }
  }
  if (keys != made.size())
    wrong.push_back(
        fmt::format("{}: {} keys, {} known", path, made.size(), keys));
}

}  // namespace reeve::schema::testing
