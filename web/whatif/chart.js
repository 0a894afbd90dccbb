// Lines in SVG: axes, grid, and a pointer that tells what lies under it.

const svg_space = "http://www.w3.org/2000/svg";
function svg(tag, attributes = {}, ...content) {
  const made = document.createElementNS(svg_space, tag);
  for (const [name, value] of Object.entries(attributes))
    made.setAttribute(name, value);
  made.append(...content);
  return made;
}

const margin = { left: 44, right: 10, top: 8, bottom: 24 };

class Chart {
  // `options`: x {to, ticks: [[value, text]], place(value) -> 0..1},
  // y {to, format}, lines [{side, points: [[x, y]]}], edge, at(x) -> rows.
  constructor(box, names) {
    this.box = box;
    this.names = names;
    this.options = null;
    new ResizeObserver(() => this.draw()).observe(box);
    box.addEventListener("pointermove", (event) => this.point_(event));
    box.addEventListener("pointerleave", () => this.leave_());
  }

  show(options) {
    this.options = options;
    this.draw();
  }

  draw() {
    const { options } = this;
    const width = this.box.clientWidth;
    if (!options || width === 0) return;
    this.picture = svg("svg", { role: "img", "aria-label": options.label });
    this.box.replaceChildren(this.picture, this.legend_());
    const height = this.picture.clientHeight;
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.plot = { left: margin.left, right: width - margin.right,
      top: margin.top, bottom: height - margin.bottom };
    this.draw_grid_();
    for (const line of options.lines) this.draw_line_(line);
    this.pointer = svg("line", { class: "pointer", visibility: "hidden",
      y1: this.plot.top, y2: this.plot.bottom });
    this.picture.append(this.pointer);
  }

  x_(value) {
    const { left, right } = this.plot;
    return left + this.options.x.place(value) * (right - left);
  }
  y_(value) {
    const { top, bottom } = this.plot;
    return bottom - Math.min(1, value / this.options.y.to) * (bottom - top);
  }

  draw_grid_() {
    const { plot, options } = this;
    for (let i = 0; i <= 4; ++i) {
      const value = options.y.to * i / 4;
      const y = this.y_(value);
      this.picture.append(
        svg("line", { class: "grid", x1: plot.left, x2: plot.right, y1: y,
          y2: y }),
        svg("text", { x: plot.left - 6, y: y + 4, "text-anchor": "end" },
          options.y.format(value)));
    }
    let free = -Infinity;
    for (const [value, text] of options.x.ticks) {
      const x = this.x_(value);
      const half = text.length * 3.1;
      if (x - half < free || x + half > plot.right + margin.right) continue;
      free = x + half + 10;
      this.picture.append(
        svg("line", { class: "grid", x1: x, x2: x, y1: plot.bottom,
          y2: plot.bottom + 4 }),
        svg("text", { x, y: plot.bottom + 16, "text-anchor": "middle" },
          text));
    }
    if (options.edge === undefined) return;
    const x = this.x_(options.edge);
    this.picture.append(svg("line", { class: "edge", x1: x, x2: x,
      y1: plot.top, y2: plot.bottom }));
  }

  // Gaps (negative values) divide a line.
  draw_line_({ side, points, filled }) {
    let run = [];
    const finish = () => {
      if (run.length > 1) {
        const path = run.map(([x, y]) =>
          `${x.toFixed(1)},${y.toFixed(1)}`).join("L");
        if (filled)
          this.picture.append(svg("path", { class: `area ${side}`,
            d: `M${run[0][0].toFixed(1)},${this.plot.bottom}L${path}` +
              `L${run.at(-1)[0].toFixed(1)},${this.plot.bottom}Z` }));
        this.picture.append(svg("path", { class: `line ${side}`,
          d: `M${path}` }));
      }
      run = [];
    };
    for (const [x, y] of points) {
      if (y < 0) finish();
      else run.push([this.x_(x), this.y_(y)]);
    }
    finish();
  }

  legend_() {
    const entries = this.options.lines.map(({ side }) =>
      element("span", {}, element("span", { class: `mark ${side}` }),
        this.names[side]));
    return element("div", { class: "legend" }, ...entries);
  }

  point_(event) {
    if (!this.plot) return;
    const x = event.clientX - this.box.getBoundingClientRect().left;
    const share = (x - this.plot.left) / (this.plot.right - this.plot.left);
    if (share < 0 || share > 1) return this.leave_();
    this.pointer.setAttribute("x1", x);
    this.pointer.setAttribute("x2", x);
    this.pointer.setAttribute("visibility", "visible");
    const { title, rows } = this.options.at(share);
    const facts = by_id("facts");
    facts.replaceChildren(element("b", {}, title),
      ...rows.map(([side, text]) => element("div", {},
        element("span", { class: `mark ${side}` }),
        `${text} ${this.names[side]}`)));
    facts.hidden = false;
    const place = facts.getBoundingClientRect();
    const left = event.clientX + 14 + place.width > innerWidth
      ? event.clientX - 14 - place.width : event.clientX + 14;
    facts.style.left = `${Math.max(4, left)}px`;
    facts.style.top = `${Math.max(4, event.clientY - place.height - 10)}px`;
  }

  leave_() {
    by_id("facts").hidden = true;
    this.pointer?.setAttribute("visibility", "hidden");
  }
}

// Steps that a person would choose, at most `count` of them.
function duration_ticks(span_ns, count) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
    10800, 21600, 43200, 86400, 172800, 432000, 864000, 1728000, 4320000]
    .map((seconds) => seconds * second_ns);
  const step = steps.find((one) => span_ns / one <= count) ??
    span_ns / count;
  const out = [];
  for (let at = 0; at <= span_ns; at += step) out.push(at);
  return out;
}
