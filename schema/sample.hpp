// For tests: any table of the schemas with every field set (or with as little
// as it may have), made from the schemas' own reflection data. So a new field
// or a new kind is covered without a line here.
#pragma once

#include <flatbuffers/idl.h>
#include <flatbuffers/reflection.h>

#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace reeve::schema::testing {

// What a sample holds beyond what is required.
enum class Fill {
  all,     // every field, vectors of two
  sparse,  // sub-tables and vectors, but no scalar and no optional string
};

// A flat buffer in 8-aligned memory.
class Aligned {
 public:
  Aligned() = default;
  Aligned(const void* data, std::size_t size);
  std::span<const std::byte> bytes() const;

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_ = 0;
};

class Schemas {
 public:
  // All of `directory`'s .fbs files.
  explicit Schemas(const std::filesystem::path& directory);
  // One schema text, for tests of changes.
  explicit Schemas(const std::string& text);

  const reflection::Schema& reflected() const;
  // `table` and the enum without their namespace.
  const reflection::Object& object(const std::string& table) const;
  std::vector<std::string> members(const std::string& union_name) const;

  // `body` chooses the member of every union it is a member of; empty: the
  // first one.
  boost::json::object sample(const std::string& table, const std::string& body,
                             Fill fill) const;
  Aligned binary(const std::string& table, const std::string& identifier,
                 const boost::json::object& value, bool size_prefixed);

  // Which value a sample has for one field, next to `made`, as the JSON form
  // ought to show it. Appends a line to `wrong` for each difference.
  void compare(const reflection::Object& table,
               const boost::json::object& sample,
               const boost::json::object& made, const std::string& path,
               std::vector<std::string>& wrong) const;

 private:
  void load(const std::string& text, const std::filesystem::path& directory);
  boost::json::value value_of(const reflection::Type& type,
                              reflection::BaseType base,
                              const std::string& body, Fill fill,
                              std::uint64_t& counter) const;
  boost::json::object fill_object(const reflection::Object& object,
                                  const std::string& body, Fill fill,
                                  std::uint64_t& counter) const;
  void compare_value(const reflection::Field& field, reflection::BaseType base,
                     const boost::json::value& sample,
                     const boost::json::value& made, const std::string& path,
                     std::vector<std::string>& wrong) const;
  void compare_absent(const reflection::Field& field,
                      const boost::json::object& made, const std::string& path,
                      std::vector<std::string>& wrong) const;

  flatbuffers::Parser parser_;
  std::string reflection_;
};

// "reeve.schema.Event" -> "Event".
std::string short_name(const flatbuffers::String* name);

}  // namespace reeve::schema::testing
