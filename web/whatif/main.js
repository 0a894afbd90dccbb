// Puts the parts together: figures, three charts, users.

const users_first = 100;

class Page {
  constructor(model) {
    this.model = model;
    this.resource = model.figures.whatif.gpus > 0 ? "gpu" : "cpu";
    this.charts = Object.fromEntries(["waits", "use", "queue"].map((id) =>
      [id, new Chart(by_id(id), model.names)]));
    this.sort = { key: "weight", down: true };
    this.head_();
    this.show_figures_();
    this.show_waits_();
    this.show_use_();
    this.show_queue_();
    this.show_users_();
    by_id("theme").addEventListener("click", () => theme.toggle());
    for (const resource of ["gpu", "cpu"])
      by_id(`show_${resource}`).addEventListener("click", () => {
        this.resource = resource;
        this.show_use_();
      });
    theme.start(() => {});
  }

  head_() {
    const { figures } = this.model;
    by_id("title").textContent = `What if: ${figures.of}`;
    const side = (one) => `${format_count(one.nodes)} nodes, ` +
      `${format_count(one.gpus)} GPUs`;
    const { model } = this;
    const range = model.dated
      ? `${format_time(model.from_ms)} to ` +
        `${format_time(model.from_ms + model.window_ns / 1e6)}, `
      : "";
    by_id("range").textContent = range +
      `${format_count(figures.sessions)} sessions; ` +
      `${figures.really_is}: ${side(figures.really)}; ` +
      `what if: ${side(figures.whatif)}` +
      (figures.whatif.policy ? `, policy ${figures.whatif.policy}` : "");
    const left = figures.left_out;
    const notes = [];
    if (left.withdrawn > 0)
      notes.push(`${format_count(left.withdrawn)} sessions ended before they ` +
        "started, and are left out.");
    if (left.unknown_length > 0)
      notes.push(`${format_count(left.unknown_length)} wait still and have ` +
        "no time limit: they are left out.");
    by_id("notes").textContent = notes.join(" ");
  }

  // -- figures ----------------------------------------------------------------

  show_figures_() {
    const { really, whatif } = this.model.figures;
    const rows = [];
    const add = (name, was, would, format, change, first = false) => {
      if (was === null && would === null) return;
      const text = (value) => value === null ? "-" : format(value);
      const [changed, mood] = was === null || would === null ? ["", ""]
        : change(was, would);
      rows.push(element("tr", { class: first ? "group" : "" },
        element("td", {}, name), element("td", {}, text(was)),
        element("td", {}, text(would)), element("td", { class: mood },
          changed)));
    };
    for (const [key, what] of [["waiting_s", "waiting"],
      ["completion_s", "completion"]])
      for (const [part, name] of [["mean", "mean"], ["p50", "p50"],
        ["p95", "p95"], ["p99", "p99"]])
        add(`${what}, ${name}`, really[key]?.[part] ?? null,
          whatif[key]?.[part] ?? null, (s) => format_duration(s * 1e9),
          relative_change, part === "mean");
    add("waiting, largest gangs", really.largest_gangs_waiting_s?.mean ?? null,
      whatif.largest_gangs_waiting_s?.mean ?? null,
      (s) => format_duration(s * 1e9), relative_change);
    const number = (value) => value.toFixed(2);
    const percent = (value) => `${value.toFixed(1)} %`;
    add("slowdown, mean", really.slowdown, whatif.slowdown, number,
      relative_change, true);
    add("GPU use", really.use_pct.gpu, whatif.use_pct.gpu, percent, points);
    add("CPU use", really.use_pct.cpu, whatif.use_pct.cpu, percent, points);
    add("fragmentation", really.fragmentation_pct, whatif.fragmentation_pct,
      percent, (a, b) => [points(a, b)[0], b < a ? "better" : "worse"]);
    add("fairness", really.fairness, whatif.fairness, number,
      (a, b) => relative_change(b, a, a, b));
    for (const [key, name] of [["not_started", "not started"],
      ["refused", "refused"], ["requeued", "requeued"]])
      if (really[key] > 0 || whatif[key] > 0)
        add(name, really[key], whatif[key], format_count, relative_change);
    by_id("figures").replaceChildren(
      this.table_head_(["", this.model.names.was, this.model.names.would,
        "change"]), element("tbody", {}, ...rows));
  }

  table_head_(titles) {
    const marks = { [this.model.names.was]: "was",
      [this.model.names.would]: "would" };
    return element("thead", {}, element("tr", {}, ...titles.map((title) =>
      element("th", { scope: "col" }, ...(marks[title]
        ? [element("span", { class: `mark ${marks[title]}` })] : []),
      title))));
  }

  // -- charts -----------------------------------------------------------------

  show_waits_() {
    const { model } = this;
    const longest = Math.max(second_ns,
      ...model.sides.map((side) => side.waits.at(-1) ?? 0));
    // Logarithmic from a second on; a second and less are one place.
    const top = Math.log10(longest / second_ns) || 1;
    const place = (ns) => ns <= second_ns ? 0
      : Math.log10(ns / second_ns) / top;
    const ticks = [[0, "1s"], [10, "10s"], [60, "1m"], [600, "10m"],
      [3600, "1h"], [6 * 3600, "6h"], [86400, "1d"], [7 * 86400, "7d"],
      [30 * 86400, "30d"]].map(([s, text]) => [s * second_ns, text])
      .filter(([ns]) => ns <= longest);
    this.charts.waits.show({
      label: "Distribution of waiting times",
      x: { ticks, place },
      y: { to: 1, format: format_share },
      lines: model.sides.map((side) => ({ side: side.name,
        points: distribution_points(side.waits, longest) })),
      at: (share) => {
        const ns = share === 0 ? 0 : second_ns * 10 ** (share * top);
        return { title: `at most ${format_duration(ns)}`,
          rows: model.sides.map((side) => [side.name,
            format_share(share_within(side.waits, ns))]) };
      },
    });
  }

  time_axis_() {
    const { model } = this;
    const span = model.span_ns;
    const ticks = duration_ticks(span, 6).map((ns) => [ns, model.dated
      ? format_time(model.from_ms + ns / 1e6).slice(5, 16)
      : ns === 0 ? "0" : format_duration(ns)]);
    return { ticks, place: (ns) => ns / span };
  }

  // A point in the middle of each piece.
  over_time_(values) {
    return Array.from(values, (value, i) =>
      [(i + 0.5) * this.model.piece_ns, value]);
  }

  show_series_(id, label, key, y, format, filled) {
    const { model } = this;
    this.charts[id].show({
      label,
      x: this.time_axis_(),
      y,
      edge: model.span_ns > model.window_ns ? model.window_ns : undefined,
      lines: model.sides.map((side) => ({ side: side.name, filled,
        points: this.over_time_(side[key]) })),
      at: (share) => {
        const piece = Math.floor(share * model.span_ns / model.piece_ns);
        return { title: model.moment(share * model.span_ns),
          rows: model.sides.map((side) => {
            const value = side[key][piece];
            return [side.name,
              value === undefined || value < 0 ? "-" : format(value)];
          }) };
      },
    });
  }

  show_use_() {
    for (const resource of ["gpu", "cpu"])
      by_id(`show_${resource}`).setAttribute("aria-pressed",
        resource === this.resource);
    this.show_series_("use", "Use over time", this.resource,
      { to: 1, format: format_share }, format_share, true);
  }

  show_queue_() {
    const most = Math.max(1, ...this.model.sides.map((side) =>
      side.waiting.reduce((a, b) => Math.max(a, b), 0)));
    const unit = 10 ** Math.floor(Math.log10(most));
    const to = Math.ceil(most / unit) * unit;
    const format = (value) => value >= 10 || Number.isInteger(value)
      ? format_count(Math.round(value)) : value.toFixed(1);
    this.show_series_("queue", "Sessions that waited", "waiting",
      { to, format }, format, true);
  }

  // -- users ------------------------------------------------------------------

  show_users_() {
    const users = this.model.figures.users.map((user, weight) => ({
      name: user.user || "-",
      weight: -weight,
      sessions: user.sessions,
      gpu_hours: user.whatif.gpu_hours,
      was: mean_ns(user.really.waiting_s),
      would: mean_ns(user.whatif.waiting_s),
      slow_was: user.really.slowdown,
      slow_would: user.whatif.slowdown,
    }));
    const { key, down } = this.sort;
    const order = (a, b) => typeof a[key] === "string"
      ? (a[key] < b[key] ? -1 : Number(a[key] > b[key]))
      : (a[key] ?? -1) - (b[key] ?? -1);
    users.sort((a, b) => down ? order(b, a) : order(a, b));
    const shown = users.slice(0, users_first);
    const longest = Math.max(1, ...shown.flatMap((user) =>
      [user.was ?? 0, user.would ?? 0]));
    by_id("users").replaceChildren(this.users_head_(),
      element("tbody", {}, ...shown.map((user) =>
        this.user_row_(user, longest))));
    by_id("more_users").textContent = users.length > shown.length
      ? `and ${format_count(users.length - shown.length)} more` : "";
  }

  users_head_() {
    const { names } = this.model;
    const columns = [["name", "user"], ["sessions", "sessions"],
      ["gpu_hours", "GPU hours"], ["was", `waiting, ${names.was}`],
      ["would", `waiting, ${names.would}`], [null, ""],
      ["slow_was", `slowdown, ${names.was}`],
      ["slow_would", `slowdown, ${names.would}`]];
    return element("thead", {}, element("tr", {}, ...columns.map(
      ([key, title]) => {
        if (key === null) return element("th", {}, "");
        const button = element("button", {}, title);
        button.addEventListener("click", () => {
          const down = this.sort.key === key ? !this.sort.down
            : key !== "name";
          this.sort = { key, down };
          this.show_users_();
        });
        const sorted = this.sort.key === key
          ? { "aria-sort": this.sort.down ? "descending" : "ascending" } : {};
        return element("th", { scope: "col", ...sorted }, button);
      })));
  }

  user_row_(user, longest) {
    const duration = (ns) => ns === null ? "-" : format_duration(ns);
    const bar = (side, ns, y) => svg("rect", { class: side, x: 0, y,
      width: `${100 * (ns ?? 0) / longest}%`, height: 7, rx: 2 });
    return element("tr", {},
      element("td", { class: "name", title: user.name }, user.name),
      element("td", {}, format_count(user.sessions)),
      element("td", {}, format_count(Math.round(user.gpu_hours))),
      element("td", {}, duration(user.was)),
      element("td", {}, duration(user.would)),
      element("td", { class: "bars" }, svg("svg", { "aria-hidden": "true" },
        bar("was", user.was, 1), bar("would", user.would, 10))),
      element("td", {}, user.slow_was.toFixed(2)),
      element("td", {}, user.slow_would.toFixed(2)));
  }
}

// The change from `was` to `would` as text, and whether it is for the better,
// where less is better; `from` and `to` are what is written, if it differs.
function relative_change(was, would, from = was, to = would) {
  if (was === would) return ["=", ""];
  const mood = would < was ? "better" : "worse";
  if (from <= 0) return ["", mood];
  const ratio = to / from;
  if (ratio >= 10) return [`x ${ratio.toFixed(0)}`, mood];
  const percent = Math.round(100 * (ratio - 1));
  if (percent === 0) return ["about =", ""];
  if (percent <= -100 && to > 0) return ["-99.9 %", mood];
  return [`${percent > 0 ? "+" : ""}${percent} %`, mood];
}

// Of percentages: neither more nor less of it is the better as such.
function points(was, would) {
  const difference = would - was;
  if (Math.abs(difference) < 0.05) return ["=", ""];
  return [`${difference > 0 ? "+" : ""}${difference.toFixed(1)}`, ""];
}

// A step for each different wait, up to the longest of both sides.
function distribution_points(waits, longest) {
  if (waits.length === 0) return [];
  const last = waits.length - 1;
  const out = [];
  for (let i = 0; i <= last; ++i) {
    const share = last === 0 ? 1 : i / last;
    if (i < last && waits[i + 1] === waits[i]) continue;
    if (out.length > 0) out.push([waits[i], out.at(-1)[1]]);
    out.push([waits[i], share]);
  }
  out.push([longest, 1]);
  return out;
}

try {
  new Page(new Model(await load_page_data()));
} catch (error) {
  give_up(`This browser cannot show the page (${error.message}). Chromium, ` +
    "Firefox or Safari of 2023 or newer can.");
  throw error;
}
