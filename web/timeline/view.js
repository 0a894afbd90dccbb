// What part of the picture is seen, and the pictures of it: names at the
// left, times at the top, bars between.

const axis_height = 30;
const bottom_room = 6;
const row_heights = [2, 3, 4, 6, 8, 11, 14, 18, 24, 32];
const shortest_ns = 1e3;

// Steps of the axis, in nanoseconds; those from a day on are local days.
const tick_steps = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 2e8, 5e8,
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800,
    21600, 43200].map((s) => s * second_ns),
  ...[1, 2, 7, 14, 30, 60, 120, 365, 730].map((d) => d * day_ns)];

class View {
  constructor(model, palette) {
    this.model = model;
    this.palette = palette;
    this.painter = new Painter(model, palette);
    this.chart = by_id("chart");
    this.canvas = by_id("plot");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.spacer = by_id("height");
    this.from = 0;
    this.to = model.span_ns;
    this.cpus = !model.has_devices;
    this.selected = null;  // a run
    this.hovered = null;   // an alloc
    this.changed = () => {};
    this.cpus_changed = () => {};
    this.choose_rows_();
    this.measure();
    this.height_index = this.fitting_height_();
    this.layout_();
  }

  // Rows that are drawn: devices, and CPUs where they are wanted or all.
  choose_rows_() {
    const { model } = this;
    this.rows = [];
    model.rows.forEach((row, index) => {
      const is_cpu = row.device === cpu_row;
      if (!is_cpu || this.cpus || model.node_devices[row.node] === 0)
        this.rows.push(index);
    });
  }

  fitting_height_() {
    const room = this.height - axis_height - bottom_room;
    for (let i = row_heights.indexOf(24); i > row_heights.indexOf(8); --i)
      if (this.total_height_(row_heights[i]) <= room) return i;
    return row_heights.indexOf(14);
  }

  gaps_(height) {
    return { row: height > 4 ? 1 : 0, node: height > 4 ? 5 : 1 };
  }

  total_height_(height) {
    const gaps = this.gaps_(height);
    const nodes = new Set(this.rows.map((row) => this.model.rows[row].node));
    return this.rows.length * (height + gaps.row) + nodes.size * gaps.node;
  }

  // Where each row lies, from the top of all.
  layout_() {
    this.row_height = row_heights[this.height_index];
    const gaps = this.gaps_(this.row_height);
    this.tops = new Float64Array(this.rows.length);
    let y = 0;
    let node = -1;
    this.rows.forEach((row, i) => {
      if (this.model.rows[row].node !== node) y += gaps.node;
      node = this.model.rows[row].node;
      this.tops[i] = y;
      y += this.row_height + gaps.row;
    });
    this.content_height = y;
    this.spacer.style.height =
      `${Math.max(0, y + axis_height + bottom_room - this.height)}px`;
    this.changed();
  }

  measure() {
    this.ratio = devicePixelRatio;
    this.width = this.chart.clientWidth;
    this.height = this.chart.clientHeight;
    const { context } = this;
    context.font = this.font_(12, 600);
    const widest = this.model.node_name.slice(0, 400).reduce((most, name) =>
      Math.max(most, context.measureText(name).width), 40);
    const room = this.width < 640 ? 110 : 220;
    this.label_width = Math.round(Math.min(widest + 50, room));
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.width = Math.round(this.width * this.ratio);
    this.canvas.height = Math.round(this.height * this.ratio);
    this.plot_width = Math.max(40, this.width - this.label_width - 10);
    this.plot_height = Math.max(1, this.height - axis_height);
    this.painter.resize(Math.round(this.plot_width * this.ratio),
      Math.round(this.plot_height * this.ratio));
  }

  resized() {
    this.measure();
    this.layout_();
    this.show(this.from, this.to);
  }

  set_cpus(on) {
    this.cpus = on;
    this.choose_rows_();
    this.layout_();
    this.cpus_changed();
  }

  step_height(step) {
    const middle = this.row_at(this.height / 2);
    this.height_index = Math.max(0,
      Math.min(row_heights.length - 1, this.height_index + step));
    this.layout_();
    if (middle >= 0) this.reveal(middle, true);
  }

  // A window within the range, of a bearable length.
  show(from, to) {
    const span = this.model.span_ns;
    const size = Math.min(span, Math.max(shortest_ns, to - from));
    const middle = (from + to) / 2;
    this.from = Math.max(0, Math.min(span - size, middle - size / 2));
    this.to = this.from + size;
    this.changed();
  }

  fit() {
    this.show(0, this.model.span_ns);
  }

  get ns_per_pixel() {
    return (this.to - this.from) / this.plot_width;
  }
  ns_at(x) {
    return this.from + (x - this.label_width) * this.ns_per_pixel;
  }
  x_of(ns) {
    return this.label_width + (ns - this.from) / this.ns_per_pixel;
  }

  zoom(factor, x) {
    const at = this.ns_at(x);
    const size = Math.min(this.model.span_ns,
      Math.max(shortest_ns, (this.to - this.from) * factor));
    const share = (at - this.from) / (this.to - this.from);
    this.show(at - share * size, at - share * size + size);
  }

  pan(pixels) {
    const ns = pixels * this.ns_per_pixel;
    this.show(this.from + ns, this.to + ns);
  }

  scroll(pixels) {
    this.chart.scrollTop += pixels;
    this.changed();
  }

  // Index into `rows` of what lies at y of the canvas; -1: none.
  row_at(y) {
    const at = y - axis_height + this.chart.scrollTop;
    const index = first_where(this.rows.length, (i) => this.tops[i] > at) - 1;
    if (index < 0 || at > this.tops[index] + this.row_height) return -1;
    return index;
  }

  // Scrolls until the row is seen.
  reveal(index, to_middle = false) {
    const top = this.tops[index];
    const seen = this.plot_height - this.row_height;
    const { scrollTop } = this.chart;
    if (to_middle || top < scrollTop || top > scrollTop + seen)
      this.chart.scrollTop = top - seen / 2;
  }

  // Zooms so far that one allocation is well seen. Returns where it is.
  go_to(alloc) {
    const { model } = this;
    const [from, to] = [model.alloc_from[alloc], model.alloc_to[alloc]];
    const size = to - from;
    const now = this.to - this.from;
    if (size < now / 40 || size > now) {
      this.show(from - 3 * size, to + 3 * size);
    } else {
      this.show((from + to - now) / 2, (from + to + now) / 2);
    }
    const [first, last] = model.shares(alloc);
    const wanted = model.node_row[model.alloc_node[alloc]] +
      (first < last ? 1 + model.share_device[first] : 0);
    let index = this.rows.indexOf(wanted);
    if (index < 0) {
      this.set_cpus(true);
      index = this.rows.indexOf(wanted);
    }
    this.reveal(index);
    this.selected = model.alloc_run[alloc];
    this.changed();
    const left = Math.max(this.label_width, this.x_of(from));
    const right = Math.min(this.width, this.x_of(to));
    return { x: (left + right) / 2, y: axis_height + this.tops[index] -
      this.chart.scrollTop + this.row_height / 2 };
  }

  // What lies at a point of the canvas.
  at(x, y) {
    const index = this.row_at(y);
    if (index < 0 || x < this.label_width || x > this.label_width +
      this.plot_width || y < axis_height) return null;
    const row = this.rows[index];
    const top = axis_height + this.tops[index] - this.chart.scrollTop;
    const height = 1 - (y - top) / this.row_height;
    const ns = this.ns_at(x);
    const bar = this.model.bar_at(row, ns, height, 2.5 * this.ns_per_pixel);
    if (bar) return { row, ...bar };
    const gap = this.model.gap_at(row, ns);
    return gap ? { row, gap } : null;
  }

  // -- drawing ---------------------------------------------------------------

  font_(size, weight = 400) {
    return `${weight} ${size}px system-ui, "Segoe UI", Roboto, ` +
      `"DejaVu Sans", sans-serif`;
  }

  visible_() {
    const { scrollTop } = this.chart;
    const first = Math.max(0,
      first_where(this.rows.length, (i) => this.tops[i] > scrollTop) - 1);
    const last = first_where(this.rows.length,
      (i) => this.tops[i] > scrollTop + this.plot_height);
    const out = [];
    for (let i = first; i < last; ++i)
      out.push({ index: i, row: this.rows[i], top: this.tops[i] - scrollTop });
    return out;
  }

  draw() {
    const { context, ratio, palette } = this;
    const visible = this.visible_();
    const scaled = visible.map(({ row, top }) => {
      const y = Math.round(top * ratio);
      const end = Math.round((top + this.row_height) * ratio);
      return { row, y, height: Math.max(1, end - y) };
    });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = palette.ground.absent;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const { step, ticks } = this.ticks_();
    context.putImageData(
      this.painter.paint(scaled, this.from, this.to, ticks),
      Math.round(this.label_width * ratio), Math.round(axis_height * ratio));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.draw_axis_(step, ticks);
    this.draw_outlines_(visible);
    this.draw_bar_names_(visible);
    this.draw_labels_(visible);
  }

  ticks_() {
    const step = tick_steps.find((s) => s / this.ns_per_pixel >= 80) ??
      tick_steps.at(-1);
    const { model } = this;
    // Local midnight is at a multiple of a day.
    const shift_ns = (BigInt(-new Date(model.unix_ms(this.from))
      .getTimezoneOffset()) * 60000000000n);
    // Weeks begin on Monday; the first of 1970 was the fifth day.
    const monday = step % (7 * day_ns) === 0 ? BigInt(4 * day_ns) : 0n;
    const origin = model.from_ns + shift_ns - monday;
    const step_n = BigInt(step);
    let at = origin + BigInt(Math.floor(this.from));
    at -= at % step_n;
    const ticks = [];
    for (; ; at += step_n) {
      const ns = Number(at - origin);
      if (ns > this.to) return { step, ticks };
      if (ns >= this.from) ticks.push(ns);
    }
  }

  tick_text_(ns, step) {
    const at = this.model.unix_ms(ns);
    const text = format_time(at, true);
    if (step >= day_ns) return text.slice(0, 10);
    if (step >= minute_ns) return text.slice(11, 16);
    if (step >= second_ns) return text.slice(11, 19);
    if (step >= 1e6) return text.slice(17) + " s";
    return `${text.slice(17)}${String(Math.floor((at % 1) * 1e3))
      .padStart(3, "0")} s`;
  }

  draw_axis_(step, ticks) {
    const { context, palette } = this;
    const { ground } = palette;
    context.font = this.font_(11);
    context.textBaseline = "middle";
    context.textAlign = "left";
    let last_day = "";
    for (const ns of ticks) {
      const x = Math.round(this.x_of(ns));
      context.fillStyle = ground.line;
      context.fillRect(x, 6, 1, axis_height - 6);
      const text = this.tick_text_(ns, step);
      if (x + context.measureText(text).width + 8 > this.width) continue;
      const day = format_time(this.model.unix_ms(ns)).slice(5, 10);
      context.fillStyle = ground.soft;
      if (step < day_ns && day !== last_day) {
        context.fillText(day, x + 4, 9);
        last_day = day;
      }
      context.fillText(text, x + 4, 21);
    }
    context.fillStyle = ground.line;
    context.fillRect(this.label_width, axis_height - 1, this.plot_width, 1);
  }

  // Calls visit(left, top, width, height, alloc) for bars of the visible rows
  // that are at least `width_min` wide and wanted.
  each_seen_(visible, width_min, wanted, visit) {
    const { model } = this;
    for (const { row, top } of visible) {
      const { bars } = model.rows[row];
      const last = bars.last(this.to);
      for (let i = bars.first(this.from); i < last; ++i) {
        if (bars.to[i] <= this.from || !wanted(bars.alloc[i])) continue;
        const left = Math.max(this.label_width, this.x_of(bars.from[i]));
        const right = Math.min(this.label_width + this.plot_width,
          this.x_of(bars.to[i]));
        if (right - left < width_min) continue;
        const height = bars.height[i] * this.row_height;
        const bottom = axis_height + top + this.row_height -
          bars.offset[i] * this.row_height;
        visit(left, bottom - height, right - left, height, bars.alloc[i]);
      }
    }
  }

  draw_outlines_(visible) {
    if (this.selected === null && this.hovered === null) return;
    const { context, model, palette } = this;
    const hovered = this.hovered === null ? -1
      : model.alloc_run[this.hovered];
    this.clip_();
    context.strokeStyle = palette.ground.ink;
    this.each_seen_(visible, 0, (alloc) => {
      const run = model.alloc_run[alloc];
      return run === hovered || run === this.selected;
    }, (left, top, width, height, alloc) => {
      context.lineWidth =
        model.alloc_run[alloc] === this.selected ? 2 : 1;
      context.strokeRect(left - 1, top - 1, width + 2, height + 2);
    });
    context.restore();
  }

  // Until restore() nothing is drawn outside of the bars' place.
  clip_() {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(this.label_width, axis_height, this.plot_width,
      this.plot_height);
    context.clip();
  }

  draw_bar_names_(visible) {
    if (this.row_height < 11) return;
    const { context, model, palette } = this;
    this.clip_();
    context.font = this.font_(this.row_height >= 18 ? 11 : 10, 500);
    context.textBaseline = "middle";
    context.textAlign = "left";
    this.each_seen_(visible, 44, (alloc) => alloc >= 0,
      (left, top, width, height, alloc) => {
        if (height < 10) return;
        const run = model.alloc_run[alloc];
        const name = model.run_name[run];
        const id = model.session_id(run);
        const room = width - 8;
        const both = name && `${name}  ${id}`;
        const text = [both, name, id].find((candidate) => candidate &&
          context.measureText(candidate).width <= room);
        if (!text) return;
        const pixel = palette.pixel_of_run[run];
        const light = (pixel & 255) * 0.3 + ((pixel >>> 8) & 255) * 0.59 +
          ((pixel >>> 16) & 255) * 0.11;
        context.globalAlpha = palette.is_faded(run) ? 0.4 : 1;
        context.fillStyle = light > 135 ? "#101418" : "#ffffff";
        context.fillText(text, left + 4, top + height / 2 + 0.5);
      });
    context.restore();
  }

  // "8 x H100", or nothing where its devices differ.
  sort_of_(node) {
    const count = this.model.node_devices[node];
    const sorts = new Set();
    for (let i = 0; i < count; ++i) sorts.add(this.model.model_of(node, i));
    const [sort] = sorts;
    return sorts.size === 1 && sort ? `${count} × ${sort}` : "";
  }

  draw_labels_(visible) {
    const { context, model, palette, label_width } = this;
    const { ground } = palette;
    context.fillStyle = ground.absent;
    context.fillRect(0, 0, label_width, this.height);
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(0, axis_height, label_width, this.plot_height);
    context.clip();
    let below = -Infinity;  // where the last name ended
    visible.forEach(({ row, top }, i) => {
      const { node, device } = model.rows[row];
      const y = axis_height + top + this.row_height / 2;
      const first = i === 0 || model.rows[visible[i - 1].row].node !== node;
      // The name stays in sight while any row of its node is.
      const name_y = i === 0 ? Math.max(y, axis_height + 7) : y;
      const has_name = first && name_y >= below;
      if (has_name) {
        context.font = this.font_(12, 600);
        context.textAlign = "left";
        context.fillStyle = ground.ink;
        context.fillText(this.cut_(model.node_name[node],
          label_width - (this.row_height >= 11 ? 36 : 14)), 10, name_y);
        below = name_y + 13;
      }
      if (this.row_height < 11) return;
      context.font = this.font_(11);
      context.fillStyle = ground.faint;
      context.textAlign = "right";
      context.fillText(device === cpu_row ? "CPU" : String(device),
        label_width - 8, y);
      const second = i > 0 && !first && y >= below &&
        this.first_of_node_(visible[i - 1]);
      if (!second) return;
      context.textAlign = "left";
      context.fillText(this.cut_(this.sort_of_(node), label_width - 36), 10, y);
      below = y + 13;
    });
    context.restore();
  }

  first_of_node_({ index, row }) {
    const before = this.rows[index - 1];
    return before === undefined ||
      this.model.rows[before].node !== this.model.rows[row].node;
  }

  cut_(text, room) {
    const { context } = this;
    if (context.measureText(text).width <= room) return text;
    const cut = (end) => text.slice(0, end) + "…";
    let end = text.length;
    while (end > 1 && context.measureText(cut(end)).width > room) --end;
    return cut(end);
  }
}
