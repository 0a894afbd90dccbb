// The data of a page: one JSON value and named columns, compressed, as base64.
// No character of it means anything to HTML. web/common/data.js reads it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reeve::tools {

class PageData {
 public:
  // `json` is a JSON value: what the page calls `meta`.
  explicit PageData(std::string json) : meta_(std::move(json)) {}

  void column(std::string_view name, std::span<const std::uint8_t> values);
  void column(std::string_view name, std::span<const std::uint16_t> values);
  void column(std::string_view name, std::span<const std::uint32_t> values);
  void column(std::string_view name, std::span<const std::int32_t> values);
  void column(std::string_view name, std::span<const double> values);
  // Bytes that are no UTF-8 show as U+FFFD.
  void texts(std::string_view name, std::span<const std::string> values);

  std::string packed() const;

 private:
  void add(std::string_view name, std::string_view type, std::size_t count,
           std::span<const std::byte> bytes);
  std::string meta_;
  std::string columns_;  // JSON
  std::vector<std::byte> bytes_;
};

}  // namespace reeve::tools
