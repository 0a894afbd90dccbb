#include "tools/page/page_data.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <bit>
#include <cstring>

#include "cluster/check.hpp"
#include "tools/page/base64.hpp"

namespace reeve::tools {
namespace {

static_assert(std::endian::native == std::endian::little,
              "pages hold little-endian numbers");

void pad(std::vector<std::byte>& bytes) {
  bytes.resize((bytes.size() + 7) / 8 * 8);
}

void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> deflated(std::span<const std::byte> bytes) {
  uLongf size = ::compressBound(bytes.size());
  std::vector<std::byte> out(size);
  const int done = ::compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                               reinterpret_cast<const Bytef*>(bytes.data()),
                               bytes.size(), Z_DEFAULT_COMPRESSION);
  REEVE_CHECK(done == Z_OK, fmt::format("zlib: {}", done));
  out.resize(size);
  return out;
}

}  // namespace

void PageData::add(std::string_view name, std::string_view type,
                   std::size_t count, std::span<const std::byte> bytes) {
  columns_ += fmt::format("{}[\"{}\",\"{}\",{}]", columns_.empty() ? "" : ",",
                          name, type, count);
  append(bytes_, bytes);
  pad(bytes_);
}

void PageData::column(std::string_view name,
                      std::span<const std::uint8_t> values) {
  add(name, "u8", values.size(), std::as_bytes(values));
}
void PageData::column(std::string_view name,
                      std::span<const std::uint16_t> values) {
  add(name, "u16", values.size(), std::as_bytes(values));
}
void PageData::column(std::string_view name,
                      std::span<const std::uint32_t> values) {
  add(name, "u32", values.size(), std::as_bytes(values));
}
void PageData::column(std::string_view name,
                      std::span<const std::int32_t> values) {
  add(name, "i32", values.size(), std::as_bytes(values));
}
void PageData::column(std::string_view name, std::span<const double> values) {
  add(name, "f64", values.size(), std::as_bytes(values));
}

void PageData::texts(std::string_view name,
                     std::span<const std::string> values) {
  std::string all;
  std::vector<std::uint32_t> ends;
  for (const auto& value : values) {
    all += value;
    ends.push_back(static_cast<std::uint32_t>(all.size()));
  }
  add(name, "u8", all.size(), std::as_bytes(std::span(all)));
  column(fmt::format("{}_ends", name), ends);
}

std::string PageData::packed() const {
  const std::string header =
      fmt::format("{{\"meta\":{},\"columns\":[{}]}}", meta_, columns_);
  const auto length = static_cast<std::uint32_t>(header.size());
  std::vector<std::byte> out(sizeof length);
  std::memcpy(out.data(), &length, sizeof length);
  append(out, std::as_bytes(std::span(header)));
  pad(out);
  append(out, bytes_);
  return base64(deflated(out));
}

}  // namespace reeve::tools
