#include "cluster/printable.hpp"

namespace reeve {
namespace {

using std::string_view;

unsigned char byte_at(string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// Of the sequence that begins at `at`; 1 for a byte that begins none.
std::size_t length_at(string_view text, std::size_t at) {
  const unsigned char lead = byte_at(text, at);
  if (lead < 0xC2 || lead > 0xF4) return 1;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() - at < length) return 1;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte_at(text, at + i) & 0xC0) != 0x80) return 1;
  return length;
}

bool control_at(string_view text, std::size_t at, std::size_t length) {
  const unsigned char lead = byte_at(text, at);
  if (length == 2) return lead == 0xC2 && byte_at(text, at + 1) < 0xA0;
  return length == 1 && (lead < 0x20 || (lead >= 0x7F && lead < 0xA0));
}

}  // namespace

std::size_t find_control(string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = length_at(text, at);
    if (control_at(text, at, length)) return at;
    at += length;
  }
  return string_view::npos;
}

std::string printable(string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = length_at(text, at);
    if (control_at(text, at, length))
      out += ' ';
    else
      out += text.substr(at, length);
    at += length;
  }
  return out;
}

}  // namespace reeve
