// Bars as pixels. What is wider than a pixel is a rectangle; what is narrower
// is summed up by column: its colour is the mean, its height how much of the
// device was held while it was held, its strength for how long.

const faintest = 0.3;  // one short bar in a long time is still seen

class Painter {
  constructor(model, palette) {
    this.model = model;
    this.palette = palette;
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
    this.image = new ImageData(Math.max(1, width), Math.max(1, height));
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.sums = ["time", "area", "red", "green", "blue"].reduce((all, name) =>
      ({ ...all, [name]: new Float32Array(width + 1) }), {});
  }

  // `rows`: [{row, y, height}] in pixels; the window and the lines of the grid
  // in nanoseconds.
  paint(rows, from, to, ticks) {
    this.from = from;
    this.to = to;
    this.scale = this.width / (to - from);
    this.pixels.fill(this.palette.absent);
    const columns = ticks.map((ns) => this.column_(ns))
      .filter((x) => x < this.width);
    for (const { row, y, height } of rows) {
      const top = Math.max(0, y);
      const bottom = Math.min(this.height, y + height);
      if (bottom <= top) continue;
      this.paint_ground_(this.model.rows[row], top, bottom);
      for (const x of columns)
        this.rectangle_(x, x + 1, top, bottom, this.palette.grid);
      this.paint_bars_(this.model.rows[row].bars, y, height);
    }
    return this.image;
  }

  rectangle_(left, right, top, bottom, pixel) {
    for (let y = top; y < bottom; ++y)
      this.pixels.fill(pixel, y * this.width + left, y * this.width + right);
  }

  paint_ground_(row, top, bottom) {
    const { model, palette } = this;
    for (const span of row.spans) {
      if (row.device >= model.span_devices[span]) continue;
      if (model.span_to[span] <= this.from) continue;
      if (model.span_from[span] >= this.to) continue;
      const left = this.column_(model.span_from[span]);
      const right = Math.max(left + 1, this.column_(model.span_to[span]));
      const phase = model.meta.phases[model.span_phase[span]];
      this.rectangle_(left, Math.min(right, this.width), top, bottom,
        palette.idle);
      const mark = palette.marks[phase];
      if (mark === undefined) continue;
      for (let y = top; y < bottom; ++y)
        for (let x = left; x < right && x < this.width; ++x)
          if (is_marked(phase, x, y)) this.pixels[y * this.width + x] = mark;
    }
  }

  column_(ns) {
    const x = Math.round((ns - this.from) * this.scale);
    return Math.max(0, Math.min(this.width, x));
  }

  paint_bars_(bars, y, height) {
    const { from, scale, width } = this;
    const { alloc_run } = this.model;
    const colours = this.palette.pixel_of_run;
    const last = bars.last(this.to);
    let left_most = width;
    let right_most = 0;
    for (let i = bars.first(from); i < last; ++i) {
      if (bars.to[i] <= from) continue;
      const left = Math.max(0, (bars.from[i] - from) * scale);
      const right = Math.min(width, (bars.to[i] - from) * scale);
      const pixel = colours[alloc_run[bars.alloc[i]]];
      if (right - left >= 1.5) {
        this.paint_bar_(bars, i, left, right, y, height, pixel);
        continue;
      }
      this.sum_(left, right, bars.height[i], pixel);
      left_most = Math.min(left_most, left);
      right_most = Math.max(right_most, right);
    }
    if (right_most > left_most || left_most < width)
      this.paint_sums_(Math.floor(left_most),
        Math.min(width, Math.ceil(right_most + 1)), y, height);
  }

  paint_bar_(bars, i, left, right, y, height, pixel) {
    const x = Math.round(left);
    const end = Math.min(this.width, Math.max(x + 1, Math.round(right)));
    const bottom = y + height - Math.round(bars.offset[i] * height);
    const top = Math.min(bottom - 1,
      y + height - Math.round((bars.offset[i] + bars.height[i]) * height));
    const first = Math.max(0, top);
    const last = Math.min(this.height, bottom);
    this.rectangle_(x, end, first, last, pixel);
    // A seam between neighbours of one colour.
    if (end - x >= 4 && right < this.width)
      this.rectangle_(end - 1, end, first, last,
        mixed(pixel, this.palette.edge, 0.55));
    if (bars.offset[i] > 0 && last - first >= 4)
      this.rectangle_(x, end, last - 1, last,
        mixed(pixel, this.palette.edge, 0.55));
  }

  sum_(left, right, height, pixel) {
    const { time, area, red, green, blue } = this.sums;
    const end = Math.max(right, left + 1e-4);
    for (let x = Math.floor(left); x < end; ++x) {
      const part = Math.min(end, x + 1) - Math.max(left, x);
      const weight = part * height;
      time[x] += part;
      area[x] += weight;
      red[x] += weight * (pixel & 255);
      green[x] += weight * ((pixel >>> 8) & 255);
      blue[x] += weight * ((pixel >>> 16) & 255);
    }
  }

  paint_sums_(left, right, y, height) {
    const { time, area, red, green, blue } = this.sums;
    for (let x = left; x < right; ++x) {
      if (time[x] > 0) {
        const strength = Math.min(1, Math.max(time[x], faintest));
        const part = Math.min(1, area[x] / Math.min(1, time[x]));
        const pixel = ((255 << 24) | (Math.round(blue[x] / area[x]) << 16) |
          (Math.round(green[x] / area[x]) << 8) |
          Math.round(red[x] / area[x])) >>> 0;
        const bottom = Math.min(this.height, y + height);
        const top = Math.max(0, y + height -
          Math.max(1, Math.round(part * height)));
        for (let line = top; line < bottom; ++line) {
          const at = line * this.width + x;
          this.pixels[at] = strength === 1 ? pixel
            : mixed(this.pixels[at], pixel, strength);
        }
      }
      time[x] = area[x] = red[x] = green[x] = blue[x] = 0;
    }
  }
}
