#include "tests/traffic/kept.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fstream>
#include <iterator>

#include "store/segment.hpp"
#include "tests/paths.hpp"

namespace reeve::traffic {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(in, file << " cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

// u32 length of the subject, u32 of the payload, subject, payload.
std::vector<Message> parse(const std::string& text) {
  std::vector<Message> out;
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t sizes[2];
    BOOST_REQUIRE(text.size() - at >= sizeof sizes);
    std::memcpy(sizes, text.data() + at, sizeof sizes);
    at += sizeof sizes;
    const std::size_t bytes = std::size_t{sizes[0]} + sizes[1];
    BOOST_REQUIRE(text.size() - at >= bytes);
    Message& one = out.emplace_back();
    one.subject = text.substr(at, sizes[0]);
    one.size = sizes[1];
    one.words.resize((one.size + 7) / 8);
    std::memcpy(one.words.data(), text.data() + at + sizes[0], one.size);
    at += bytes;
  }
  return out;
}

std::vector<Kept> load() {
  std::vector<Kept> out;
  const fs::path all =
      fs::path(testing::source_dir()) / "tests" / "traffic" / "released";
  for (const auto& entry : fs::directory_iterator(all)) {
    Kept& kept = out.emplace_back();
    kept.folder = entry.path();
    kept.messages = parse(read_file(kept.folder / "bus.bin"));
    kept.digest = read_file(kept.folder / "digest");
    while (kept.digest.ends_with('\n')) kept.digest.pop_back();
  }
  return out;
}

}  // namespace

schema::Bytes Message::bytes() const {
  return {reinterpret_cast<const std::byte*>(words.data()), size};
}

std::string_view Message::kind() const {
  return token(0);
}

std::string_view Message::token(std::size_t index) const {
  std::string_view rest = subject;
  for (; index > 0; --index) {
    const auto dot = rest.find('.');
    if (dot == std::string_view::npos) return {};
    rest.remove_prefix(dot + 1);
  }
  return rest.substr(0, rest.find('.'));
}

void Kept::each_event(
    const std::function<void(const schema::Event&)>& visit) const {
  const auto segment = store::SegmentFile::open(folder / "log.segment");
  BOOST_REQUIRE_MESSAGE(segment, segment.error().text);
  const Status read = (*segment)->scan([&](const store::Record& record) {
    const Status whole =
        store::for_each_event(record.events, [&](schema::Bytes event) {
          BOOST_REQUIRE(schema::verified_event(event) != nullptr);
          visit(schema::event_of(event));
        });
    BOOST_REQUIRE_MESSAGE(whole, whole.error().text);
    return true;
  });
  BOOST_REQUIRE_MESSAGE(read, read.error().text);
}

cluster::State Kept::state_before(std::uint64_t sequence) const {
  cluster::State state;
  each_event([&](const schema::Event& event) {
    if (event.seq() >= sequence) return;
    const Status applied = state.apply(event);
    BOOST_REQUIRE_MESSAGE(applied, applied.error().text);
  });
  return state;
}

const std::vector<Kept>& all_kept() {
  static const std::vector<Kept> kept = load();
  BOOST_REQUIRE(!kept.empty());
  return kept;
}

}  // namespace reeve::traffic
