// What a person most likely meant by a word that nobody knows.
#pragma once

#include <span>
#include <string_view>

namespace reeve {

// The nearest candidate; empty when none is near.
std::string_view nearest(std::string_view word,
                         std::span<const std::string_view> candidates);

}  // namespace reeve
