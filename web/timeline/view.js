// What part of the picture is seen: the window of time, the rows and their
// height, and what lies where.

const axis_height = 30;
const bottom_room = 6;
const row_heights = [2, 3, 4, 6, 8, 11, 14, 18, 24, 32];
const shortest_ns = 1e3;

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
    context.font = canvas_font(12, 600);
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
}
