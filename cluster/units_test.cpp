#include "cluster/units.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/session_id.hpp"

namespace reeve::units_test {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
// 2026-11-20T14:00:00Z
constexpr std::uint64_t now_at = 1'795'183'200 * second;
constexpr TimeFrame frame{now_at, 0};

template <class T>
bool names(const Expected<T>& result, std::string_view part) {
  return !result && result.error().code == Errc::usage &&
         result.error().text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(units)

BOOST_AUTO_TEST_CASE(sizes_are_powers_of_1024_in_every_spelling) {
  const struct {
    const char* text;
    std::uint64_t bytes;
  } cases[] = {{"0", 0},
               {"4096", 4096},
               {"1k", 1024},
               {"512M", 512u << 20},
               {"512Mi", 512u << 20},
               {"512 MiB", 512u << 20},
               {"1.5g", 1536u << 20},
               {"2T", 2ull << 40},
               {"1P", 1ull << 50},
               {"17B", 17}};
  for (const auto& c : cases) {
    const auto bytes = parse_bytes(c.text);
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_REQUIRE(bytes);
      BOOST_TEST(*bytes == c.bytes);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_size_that_does_not_parse_shows_one_that_does) {
  for (const char* text :
       {"", "G", "4X", "-1G", "1.5", "4GG", "1..5G", "4 G x", "1.0000000001G"})
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(names(parse_bytes(text), "512M"));
    }
  BOOST_TEST(names(parse_bytes("99999999P"), "largest size"));
  BOOST_TEST(names(parse_bytes("99999999999999999999"), "is no size"));
}

BOOST_AUTO_TEST_CASE(memory_of_less_than_a_mebibyte_is_a_slip) {
  BOOST_TEST(parse_memory("1M").value() == memory_bytes_min);
  BOOST_TEST(names(parse_memory("1048575"), "less than 1 MiB"));
  BOOST_TEST(names(parse_memory("12"), "write 12M"));
  BOOST_TEST(names(parse_memory("4X"), "is no size"));
}

BOOST_AUTO_TEST_CASE(durations_add_up_their_parts) {
  const struct {
    const char* text;
    std::uint64_t ns;
  } cases[] = {{"0", 0},
               {"90s", 90 * second},
               {"1h30m", 5400 * second},
               {"1h 30m", 5400 * second},
               {"2d", 172'800 * second},
               {"250ms", second / 4},
               {"1.5h", 5400 * second},
               {"10us", 10'000},
               {"01:30:00", 5400 * second},
               {"05:30", 330 * second},
               {"2-12:00:00", 216'000 * second}};
  for (const auto& c : cases) {
    const auto ns = parse_duration(c.text);
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_REQUIRE(ns);
      BOOST_TEST(*ns == c.ns);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_duration_without_a_unit_is_refused) {
  BOOST_TEST(names(parse_duration("90"), "has no unit"));
  for (const char* text : {"", "h", "1y", "-5s", "1h-30m", "1:2:3:4", "1:99"})
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(names(parse_duration(text), "1h30m"));
    }
  BOOST_TEST(names(parse_duration("999999w"), "longest"));
  // The last one that is one, and the first that would begin at 0 again.
  BOOST_TEST(parse_duration("213503-23:34:33").value() ==
             (std::uint64_t{213'503} * 86'400 + 84'873) * second);
  BOOST_TEST(names(parse_duration("213503-23:34:34"), "longest"));
  BOOST_TEST(names(parse_duration("213504-00:00:00"), "longest"));
  BOOST_TEST(names(parse_duration("1000000-00:00:00"), "longest"));
}

BOOST_AUTO_TEST_CASE(times_are_absolute_or_relative_to_now) {
  const struct {
    const char* text;
    std::uint64_t at;
  } cases[] = {{"now", now_at},
               {"-2h", now_at - 7200 * second},
               {"+30m", now_at + 1800 * second},
               {"2026-11-20T14:00:00Z", now_at},
               {"2026-11-20 14:00", now_at},
               {"2026-11-20T15:00:00+01:00", now_at},
               {"2026-11-20T09:30:00.5-04:30", now_at + second / 2},
               {"2026-11-20", now_at - 14 * 3600 * second},
               {"1970-01-01", 0}};
  for (const auto& c : cases) {
    const auto at = parse_time(c.text, frame);
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_REQUIRE(at);
      BOOST_TEST(*at == c.at);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_time_without_a_zone_is_in_the_zone_of_the_frame) {
  const auto at = parse_time("2026-11-20 15:00", TimeFrame{now_at, 3600});
  BOOST_REQUIRE(at);
  BOOST_TEST(*at == now_at);
  BOOST_TEST(format_time(now_at, 3600) == "2026-11-20 15:00:00");
}

BOOST_AUTO_TEST_CASE(a_time_that_does_not_exist_is_refused) {
  for (const char* text : {"", "2026-02-29", "2026-13-01", "2026-11-20 25:00",
                           "1969-12-31", "yesterday", "-2", "20261120",
                           "2026-11-20T14:00:00X", "2026-11-20 14:61"})
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(names(parse_time(text, frame), "is no time"));
    }
  BOOST_TEST(parse_time("2028-02-29", frame).has_value());
}

BOOST_AUTO_TEST_CASE(counts_name_their_bounds) {
  BOOST_TEST(parse_count("7", "task count", 1, 10).value() == 7u);
  BOOST_TEST(names(parse_count("0", "task count", 1, 10), "from 1 to 10"));
  BOOST_TEST(names(parse_count("11", "task count", 1, 10), "task count"));
  BOOST_TEST(names(parse_count("1x", "limit"), "is no limit"));
  BOOST_TEST(names(parse_count("99999999999999999999", "limit", 1),
                   "from 1 to 18446744073709551615"));
  BOOST_TEST(parse_integer("-3", "priority", -10, 10).value() == -3);
  BOOST_TEST(names(parse_integer("11", "priority", -10, 10), "-10 to 10"));
}

BOOST_AUTO_TEST_CASE(thousandths_are_exact_or_refused) {
  BOOST_TEST(parse_milli("0.25", "GPU share").value() == 250u);
  BOOST_TEST(parse_milli("2", "GPU count").value() == 2000u);
  BOOST_TEST(parse_milli("0.125", "GPU share").value() == 125u);
  BOOST_TEST(names(parse_milli("0.1255", "GPU share"), "three"));
  BOOST_TEST(names(parse_milli("9999999", "GPU share"), "GPU share"));
  BOOST_TEST(names(parse_milli("a", "GPU share"), "0.25"));
  for (const char* text : {"99999999999999999999", "99999999999999999999.5"})
    BOOST_TEST(names(parse_milli(text, "share"), "at most 4294967.295"));
  BOOST_TEST(names(parse_milli("99999999999999999999x", "share"), "0.25"));
  BOOST_TEST(parse_milli("4294967.295", "share").value() == UINT32_MAX);
  BOOST_TEST(names(parse_milli("4294967.296", "share"), "at most 4294967.295"));
}

BOOST_AUTO_TEST_CASE(sums_of_thousandths_have_a_bound_of_their_own) {
  BOOST_TEST(parse_milli_sum("4294968", "limit").value() == 4'294'968'000u);
  BOOST_TEST(parse_milli_sum("2.5", "limit", 2'500).value() == 2'500u);
  BOOST_TEST(names(parse_milli_sum("2.501", "limit", 2'500), "at most 2.5"));
  BOOST_TEST(parse_milli_sum("18446744073709551.615", "limit").value() ==
             UINT64_MAX);
  for (const char* text : {"18446744073709551.616", "18446744073709551615"})
    BOOST_TEST(
        names(parse_milli_sum(text, "limit"), "at most 18446744073709551.615"));
  BOOST_TEST(names(parse_milli_sum("0.1255", "limit"), "three"));
}

BOOST_AUTO_TEST_CASE(numbers_are_written_short) {
  BOOST_TEST(format_bytes(17) == "17 B");
  BOOST_TEST(format_bytes(1536u << 20) == "1.5 GiB");
  BOOST_TEST(format_bytes(512u << 20) == "512 MiB");
  BOOST_TEST(format_milli(250) == "0.25");
  BOOST_TEST(format_milli(2000) == "2");
  BOOST_TEST(counted(0, "GPU") == "0 GPUs");
  BOOST_TEST(counted(1, "GPU") == "1 GPU");
  BOOST_TEST(counted(2, "waiting session") == "2 waiting sessions");
  BOOST_TEST(counted_milli(1000, "CPU") == "1 CPU");
  BOOST_TEST(counted_milli(500, "CPU") == "0.5 CPU");
  BOOST_TEST(counted_milli(0, "CPU") == "0 CPUs");
  BOOST_TEST(counted_milli(1500, "CPU") == "1.5 CPUs");
  BOOST_TEST(format_duration(90 * second) == "1m 30s");
  BOOST_TEST(format_duration(26 * 3600 * second) == "1d 02h");
  BOOST_TEST(format_duration(12'000'000) == "12ms");
}

BOOST_AUTO_TEST_CASE(session_ids_read_with_and_without_their_prefix) {
  BOOST_TEST(to_text(SessionId{12}) == "s-12");
  BOOST_TEST(parse_session_id("s-12").value().value == 12u);
  BOOST_TEST(parse_session_id("12").value().value == 12u);
  for (const char* text :
       {"", "s-", "s-0", "x-1", "s-1x", "-1", "s-99999999999999999999"})
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(names(parse_session_id(text), "s-12"));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::units_test
