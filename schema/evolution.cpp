#include "schema/evolution.hpp"

#include <fmt/format.h>

namespace reeve::schema::testing {
namespace {

using reflection::Object;
using reflection::Schema;

std::string text(const flatbuffers::String* string) {
  return string ? string->str() : std::string();
}

class Comparison {
 public:
  Comparison(const Schema& before, const Schema& now)
      : before_(before), now_(now) {}

  std::vector<std::string> run() {
    for (const auto* object : *before_.objects()) {
      const auto* later = now_.objects()->LookupByKey(object->name()->c_str());
      if (later == nullptr)
        say("table {} was removed", object->name()->str());
      else
        compare(*object, *later);
    }
    for (const auto* one : *before_.enums()) {
      const auto* later = now_.enums()->LookupByKey(one->name()->c_str());
      if (later == nullptr)
        say("enum {} was removed", one->name()->str());
      else
        compare(*one, *later);
    }
    if (text(before_.file_ident()) != text(now_.file_ident()))
      say("the file identifier {} became {}", text(before_.file_ident()),
          text(now_.file_ident()));
    if (before_.root_table() &&
        (!now_.root_table() ||
         text(before_.root_table()->name()) != text(now_.root_table()->name())))
      say("the root table {} changed", text(before_.root_table()->name()));
    return std::move(found_);
  }

 private:
  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    found_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  void compare(const Object& was, const Object& is) {
    const std::string name = was.name()->str();
    if (was.is_struct() != is.is_struct())
      return say("{} is no longer a {}", name,
                 was.is_struct() ? "struct" : "table");
    if (was.is_struct() && was.bytesize() != is.bytesize())
      say("struct {} grew from {} to {} bytes", name, was.bytesize(),
          is.bytesize());
    for (const auto* field : *was.fields()) {
      const auto* later = is.fields()->LookupByKey(field->name()->c_str());
      if (later == nullptr)
        say("{}.{} was removed or renamed", name, field->name()->str());
      else
        compare(name, *field, *later);
    }
    for (const auto* field : *is.fields()) {
      if (was.fields()->LookupByKey(field->name()->c_str())) continue;
      if (was.is_struct())
        say("struct {} has a new field {}", name, field->name()->str());
      else if (field->required())
        say("{}.{} is new but required", name, field->name()->str());
      else if (field->id() < was.fields()->size())
        say("{}.{} is new but has the old id {}", name, field->name()->str(),
            field->id());
    }
  }

  void compare(const std::string& table, const reflection::Field& was,
               const reflection::Field& is) {
    const std::string name = table + "." + was.name()->str();
    if (was.id() != is.id())
      say("{} changed its id from {} to {}", name, was.id(), is.id());
    if (was.offset() != is.offset())
      say("{} changed its place from {} to {}", name, was.offset(),
          is.offset());
    if (type_of(before_, *was.type()) != type_of(now_, *is.type()))
      say("{} changed its type from {} to {}", name,
          type_of(before_, *was.type()), type_of(now_, *is.type()));
    if (was.default_integer() != is.default_integer() ||
        was.default_real() != is.default_real())
      say("{} changed its default from {} to {}", name, was.default_integer(),
          is.default_integer());
    if (was.required() != is.required())
      say("{} is {} required", name, is.required() ? "now" : "no longer");
    if (was.optional() != is.optional())
      say("{} is {} optional", name, is.optional() ? "now" : "no longer");
    if (!was.deprecated() && is.deprecated())
      say("{} was deprecated: old logs still have it", name);
  }

  // "vector of reeve.schema.KeyValue".
  static std::string type_of(const Schema& schema,
                             const reflection::Type& type) {
    const auto name = [&](reflection::BaseType base) {
      const auto index = static_cast<unsigned>(type.index());
      if (type.index() >= 0 && base == reflection::BaseType::Obj)
        return (*schema.objects())[index]->name()->str();
      if (type.index() >= 0)
        return (*schema.enums())[index]->name()->str() + ":" +
               reflection::EnumNameBaseType(base);
      return std::string(reflection::EnumNameBaseType(base));
    };
    if (type.base_type() == reflection::BaseType::Vector)
      return "vector of " + name(type.element());
    return name(type.base_type());
  }

  void compare(const reflection::Enum& was, const reflection::Enum& is) {
    const std::string name = was.name()->str();
    if (was.is_union() != is.is_union() ||
        was.underlying_type()->base_type() != is.underlying_type()->base_type())
      say("{} changed its underlying type", name);
    for (const auto* value : *was.values()) {
      const auto* later = is.values()->LookupByKey(value->value());
      if (later == nullptr) {
        say("{}.{} was removed", name, value->name()->str());
        continue;
      }
      if (value->name()->str() != later->name()->str())
        say("{} {} was {} and is {}", name, value->value(),
            value->name()->str(), later->name()->str());
      if (was.is_union() && value->value() != 0 &&
          type_of(before_, *value->union_type()) !=
              type_of(now_, *later->union_type()))
        say("{}.{} is another table", name, value->name()->str());
    }
  }

  const Schema& before_;
  const Schema& now_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> breaches(const Schema& before, const Schema& now) {
  return Comparison(before, now).run();
}

}  // namespace reeve::schema::testing
