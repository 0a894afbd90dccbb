#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>

#include "tools/page/base64.hpp"
#include "tools/page/html_page.hpp"
#include "tools/page/page_data.hpp"
#include "tools/page/whole_file.hpp"

namespace reeve::tools::page_test {
namespace {

namespace fs = std::filesystem;

struct Directory {
  Directory() {
    char name[] = "/tmp/reeve-page-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~Directory() { fs::remove_all(path); }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(path), {}));
  }
  fs::path path;
};

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string unpacked(const std::string& packed) {
  std::string bytes;
  unsigned value = 0;
  int bits = 0;
  for (const char c : packed) {
    static const std::string alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (c == '=') break;
    value = value << 6 | static_cast<unsigned>(alphabet.find(c));
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(value >> bits & 255);
  }
  std::string out(1 << 16, '\0');
  uLongf size = out.size();
  BOOST_REQUIRE_EQUAL(
      ::uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                   reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()),
      Z_OK);
  out.resize(size);
  return out;
}

BOOST_AUTO_TEST_SUITE(page)

BOOST_AUTO_TEST_CASE(markup_in_a_text_stays_text) {
  BOOST_TEST(html_escaped("</script><img src=x onerror='a'&\"b\">") ==
             "&lt;/script&gt;&lt;img src=x onerror=&#39;a&#39;&amp;&quot;b"
             "&quot;&gt;");
  PageParts parts;
  parts.title = "</title><script>alert(1)</script>@data@";
  parts.data = "QUJD";
  const std::string page = html_page(parts);
  BOOST_TEST(page.find("<script>alert") == std::string::npos);
  // A mark inside a value is not filled in again.
  BOOST_TEST(page.find("&lt;/script&gt;@data@</title>") != std::string::npos);
  BOOST_TEST(page.find("id=\"data\">QUJD</script>") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(base64_is_padded) {
  const std::string text = "ab";
  BOOST_TEST(base64(std::as_bytes(std::span(text))) == "YWI=");
  BOOST_TEST(base64({}) == "");
}

BOOST_AUTO_TEST_CASE(columns_lie_at_multiples_of_eight_behind_the_header) {
  PageData data("{\"cell\":\"main\"}");
  const std::vector<std::uint16_t> shorts = {1, 2, 3};
  const std::vector<double> reals = {0.5};
  const std::vector<std::string> names = {"ann", "", "</script>"};
  data.column("shorts", shorts);
  data.column("reals", reals);
  data.texts("names", names);
  const std::string packed = data.packed();
  BOOST_TEST(packed.find('<') == std::string::npos);
  const std::string bytes = unpacked(packed);
  const std::string header =
      "{\"meta\":{\"cell\":\"main\"},\"columns\":[[\"shorts\",\"u16\",3],"
      "[\"reals\",\"f64\",1],[\"names\",\"u8\",12],[\"names_ends\",\"u32\",3]]"
      "}";
  BOOST_REQUIRE_EQUAL(bytes.substr(4, header.size()), header);
  const std::size_t first = (4 + header.size() + 7) / 8 * 8;
  BOOST_REQUIRE_EQUAL(bytes.size(), first + 8 + 8 + 16 + 16);
  std::uint16_t third = 0;
  std::memcpy(&third, bytes.data() + first + 4, 2);
  BOOST_TEST(third == 3);
  double real = 0;
  std::memcpy(&real, bytes.data() + first + 8, 8);
  BOOST_TEST(real == 0.5);
  BOOST_TEST(bytes.substr(first + 16, 12) == "ann</script>");
}

BOOST_FIXTURE_TEST_CASE(a_file_appears_whole_at_the_end, Directory) {
  const fs::path page = path / "page.html";
  {
    auto file = WholeFile::open(page);
    BOOST_REQUIRE(file);
    BOOST_TEST(!fs::exists(page));
    BOOST_REQUIRE(file->finish("whole"));
  }
  BOOST_TEST(read(page) == "whole");
  BOOST_TEST(entries() == 1);
}

BOOST_FIXTURE_TEST_CASE(a_file_that_is_not_finished_leaves_the_old_one,
                        Directory) {
  const fs::path page = path / "page.html";
  std::ofstream(page) << "old";
  { BOOST_REQUIRE(WholeFile::open(page)); }
  BOOST_TEST(read(page) == "old");
  BOOST_TEST(entries() == 1);
}

BOOST_FIXTURE_TEST_CASE(a_path_that_cannot_be_written_is_named, Directory) {
  const fs::path missing = path / "none" / "page.html";
  const auto file = WholeFile::open(missing);
  BOOST_REQUIRE(!file);
  BOOST_TEST((file.error().code == Errc::io));
  BOOST_TEST(file.error().text.find(missing.native()) != std::string::npos);
  BOOST_TEST(!WholeFile::open(path));
  BOOST_TEST(entries() == 0);
}

BOOST_AUTO_TEST_CASE(a_device_is_written_to_and_never_replaced) {
  auto file = WholeFile::open("/dev/full");
  BOOST_REQUIRE(file);
  const auto done = file->finish("x");
  BOOST_REQUIRE(!done);
  BOOST_TEST(done.error().text.find("No space left") != std::string::npos);
  struct stat found {};
  BOOST_REQUIRE(::stat("/dev/full", &found) == 0);
  BOOST_TEST(S_ISCHR(found.st_mode));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::page_test
