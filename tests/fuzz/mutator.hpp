// Inputs made from valid ones: cut, flipped, doubled, spliced, and with numbers
// and signs that parsers stumble over. REEVE_SEED=N makes another run,
// REEVE_RUNS=N a longer one.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace reeve::fuzz {

inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Mutator {
 public:
  explicit Mutator(std::vector<std::string> corpus)
      : corpus_(std::move(corpus)), random_(setting("REEVE_SEED", 1)) {}

  const std::vector<std::string>& corpus() const { return corpus_; }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  // One to a few changes of one of the corpus.
  std::string next() {
    std::string made = corpus_[below(corpus_.size())];
    for (auto changes = 1 + below(4); changes > 0; --changes) change(made);
    return made;
  }

  // Of the same length, a few bytes at most are others: what has offsets in it
  // mostly stays whole.
  std::string next_alike() {
    std::string made = corpus_[below(corpus_.size())];
    for (auto changes = below(4); changes > 0; --changes)
      made[below(made.size())] = static_cast<char>(random_());
    return made;
  }

 private:
  static constexpr std::string_view odd[] = {
      "0",    "-1",         "18446744073709551615",
      "1e99", "4294967296", "99999999999999999999999999",
      "\"",   "\n",         "\xff\xfe",
      "{",    "]",          "=",
      ",",    "nan",        "-"};

  void change(std::string& made) {
    const std::size_t at = below(made.size() + 1);
    const std::size_t most = made.size() - at;
    const std::size_t length =
        most == 0 ? 0 : below(std::min<std::size_t>(most, 64));
    switch (below(7)) {
      case 0:
        if (at < made.size())
          made[at] = static_cast<char>(made[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < made.size()) made[at] = static_cast<char>(random_());
        break;
      case 2: made.erase(at, length); break;
      case 3: made.insert(at, made.substr(at, length)); break;
      case 4: made.insert(at, odd[below(std::size(odd))]); break;
      case 5: made.resize(at); break;
      default: {
        const std::string& other = corpus_[below(corpus_.size())];
        made.resize(at);
        made += other.substr(below(other.size() + 1));
      }
    }
  }

  std::vector<std::string> corpus_;
  std::mt19937_64 random_;
};

// Gives `parse` the corpus, of which it has to take each, and `runs` mutated
// inputs, of which it may refuse any. `parse` says whether it took it.
template <class Parse>
void feed(std::vector<std::string> corpus, std::uint64_t runs, Parse parse) {
  Mutator mutator(std::move(corpus));
  for (const std::string& valid : mutator.corpus())
    BOOST_TEST(parse(valid), "refused: " << valid);
  std::uint64_t refused = 0;
  runs *= setting("REEVE_RUNS", 1);
  for (std::uint64_t i = 0; i < runs; ++i) refused += !parse(mutator.next());
  BOOST_TEST(refused > 0u);
}

}  // namespace reeve::fuzz
