// Numbers for people, as the command line writes them (cluster/units.cpp).

const second_ns = 1e9;
const minute_ns = 60 * second_ns;
const hour_ns = 60 * minute_ns;
const day_ns = 24 * hour_ns;

function two_digits(number) {
  return String(number).padStart(2, "0");
}

// "1d 02h", "3m 20s", "1.50s", "12ms".
function format_duration(ns) {
  if (ns === 0) return "0s";
  if (ns < 1e3) return `${Math.round(ns)}ns`;
  if (ns < 1e6) return `${Math.floor(ns / 1e3)}us`;
  if (ns < second_ns) return `${Math.floor(ns / 1e6)}ms`;
  if (ns < 10 * second_ns) return `${(ns / 1e9).toFixed(2)}s`;
  const whole = (unit) => Math.floor(ns / unit);
  const rest = (unit, of) => two_digits(whole(unit) % of);
  if (ns < minute_ns) return `${whole(second_ns)}s`;
  if (ns < hour_ns) return `${whole(minute_ns)}m ${rest(second_ns, 60)}s`;
  if (ns < day_ns) return `${whole(hour_ns)}h ${rest(minute_ns, 60)}m`;
  return `${whole(day_ns)}d ${rest(hour_ns, 24)}h`;
}

// "1.5 GiB", "340 MiB", "17 B".
function format_bytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (bytes >= 1024 && unit + 1 < units.length) {
    bytes /= 1024;
    ++unit;
  }
  const whole = unit === 0 || bytes >= 100 || Number.isInteger(bytes);
  return `${bytes.toFixed(whole ? 0 : 1)} ${units[unit]}`;
}

// Thousandths: "2", "0.25".
function format_milli(milli) {
  return String(milli / 1000);
}

// "1,234".
function format_count(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

// "38 %", "0.4 %".
function format_share(share) {
  const percent = 100 * share;
  return `${percent.toFixed(percent !== 0 && percent < 10 ? 1 : 0)} %`;
}

// Local time of this browser; milliseconds where they matter.
function format_time(unix_ms, with_ms = false) {
  const at = new Date(unix_ms);
  const date = `${at.getFullYear()}-${two_digits(at.getMonth() + 1)}-` +
    two_digits(at.getDate());
  const clock = `${two_digits(at.getHours())}:${two_digits(at.getMinutes())}:` +
    two_digits(at.getSeconds());
  const ms = `.${String(at.getMilliseconds()).padStart(3, "0")}`;
  return `${date} ${clock}${with_ms ? ms : ""}`;
}
