#include "cluster/accounting/amount.hpp"

#include <algorithm>

namespace reeve::cluster::accounting {

std::string to_text(Wide value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  std::string out;
  for (; value != 0; value /= 10) {
    const int digit = static_cast<int>(value % 10);
    out += static_cast<char>('0' + (digit < 0 ? -digit : digit));
  }
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

std::string rounded(Wide value, Wide unit, int decimals) {
  const bool negative = value < 0;
  const Wide size = negative ? -value : value;
  // Whole and rest apart: value * 10^decimals might not fit.
  Wide whole = size / unit;
  Wide rest = size % unit;
  Wide scale = 1;
  for (int i = 0; i < decimals; ++i) scale *= 10;
  Wide parts = (rest * scale + unit / 2) / unit;
  if (parts == scale) {
    parts = 0;
    ++whole;
  }
  std::string out = to_text(whole);
  if (decimals > 0) {
    const std::string digits = to_text(parts);
    out += '.';
    out.append(static_cast<std::size_t>(decimals) - digits.size(), '0');
    out += digits;
  }
  const bool zero = whole == 0 && parts == 0;
  return negative && !zero ? '-' + out : out;
}

}  // namespace reeve::cluster::accounting
