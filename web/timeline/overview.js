// The whole range in one strip: how much was held, by colour, below a line of
// what was offered; and the window that the chart shows, to be dragged.

const overview_bins = 1600;

class Overview {
  constructor(model, palette, view) {
    this.model = model;
    this.palette = palette;
    this.view = view;
    this.canvas = by_id("overview");
    this.context = this.canvas.getContext("2d");
    this.offered_ = this.sums_of_spans_();
    this.refresh();
    this.listen_();
  }

  bin_ns_() {
    return this.model.span_ns / overview_bins;
  }

  // Adds `weight` held over [from, to) to the bins it touches.
  static add_(bins, steps, from, to, weight) {
    const first = Math.floor(from);
    const last = Math.min(Math.floor(to), overview_bins - 1);
    if (first >= last) {
      bins[Math.min(first, last)] += (to - from) * weight;
      return;
    }
    bins[first] += (first + 1 - from) * weight;
    bins[last] += (to - last) * weight;
    steps[first + 1] += weight;
    steps[last] -= weight;
  }

  static whole_(bins, steps) {
    let level = 0;
    for (let i = 0; i < overview_bins; ++i) bins[i] += level += steps[i];
    return bins;
  }

  sums_of_spans_() {
    const { model } = this;
    const bins = new Float64Array(overview_bins);
    const steps = new Float64Array(overview_bins + 1);
    for (let i = 0; i < model.span_node.length; ++i) {
      if (model.meta.phases[model.span_phase[i]] !== "up") continue;
      const weight = model.has_devices ? 1000 * model.span_devices[i]
        : model.node_cpu_milli[model.span_node[i]];
      Overview.add_(bins, steps, model.span_from[i] / this.bin_ns_(),
        model.span_to[i] / this.bin_ns_(), weight);
    }
    return Overview.whole_(bins, steps);
  }

  // Sums by colour; after a change of mode, search or pick.
  refresh() {
    const { model, palette } = this;
    const rank = new Map();
    const pixel_rank = new Uint32Array(model.runs);
    palette.pixel_of_run.forEach((pixel, run) => {
      if (!rank.has(pixel)) rank.set(pixel, rank.size);
      pixel_rank[run] = rank.get(pixel);
    });
    this.layers_ = Array.from(rank.keys(), (pixel) => ({ pixel,
      bins: new Float64Array(overview_bins),
      steps: new Float64Array(overview_bins + 1), weight: 0 }));
    const bin_ns = this.bin_ns_();
    for (let i = 0; i < model.allocs; ++i) {
      const milli = model.alloc_milli[i];
      if (milli === 0) continue;
      const layer = this.layers_[pixel_rank[model.alloc_run[i]]];
      layer.weight += milli * (model.alloc_to[i] - model.alloc_from[i]);
      Overview.add_(layer.bins, layer.steps, model.alloc_from[i] / bin_ns,
        model.alloc_to[i] / bin_ns, milli);
    }
    for (const layer of this.layers_) Overview.whole_(layer.bins, layer.steps);
    this.layers_.sort((a, b) => b.weight - a.weight);
    this.held_ = new Float64Array(overview_bins);
    for (const { bins } of this.layers_)
      bins.forEach((sum, i) => {
        this.held_[i] += sum;
      });
    this.picture_ = null;
  }

  // The sums, drawn once for each size and colouring.
  draw_picture_(width, height) {
    const picture = new OffscreenCanvas(width, height);
    const context = picture.getContext("2d");
    const top = this.offered_.reduce((a, b) => Math.max(a, b), 1);
    const scale = (height - 4) / top;
    const step = width / overview_bins;
    const floor = new Float64Array(overview_bins);
    for (const { pixel, bins } of this.layers_) {
      context.fillStyle = `rgb(${pixel & 255} ${(pixel >>> 8) & 255} ` +
        `${(pixel >>> 16) & 255})`;
      context.beginPath();
      context.moveTo(0, height - floor[0] * scale);
      for (let i = 0; i < overview_bins; ++i) {
        const y = height - floor[i] * scale;
        context.lineTo(i * step, y);
        context.lineTo((i + 1) * step, y);
      }
      for (let i = overview_bins - 1; i >= 0; --i) {
        floor[i] += bins[i];
        const y = height - floor[i] * scale;
        context.lineTo((i + 1) * step, y);
        context.lineTo(i * step, y);
      }
      context.fill();
    }
    context.strokeStyle = this.palette.ground.faint;
    context.beginPath();
    for (let i = 0; i < overview_bins; ++i) {
      const y = height - this.offered_[i] * scale;
      if (i === 0) context.moveTo(0, y);
      context.lineTo(i * step, y);
      context.lineTo((i + 1) * step, y);
    }
    context.stroke();
    return picture;
  }

  draw() {
    const ratio = devicePixelRatio;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.picture_ = null;
    }
    const start = Math.round(this.view.label_width * ratio);
    const room = Math.max(1, Math.round(this.view.plot_width * ratio));
    if (this.picture_?.width !== room) this.picture_ = null;
    this.picture_ ??= this.draw_picture_(room, height);
    const { context } = this;
    const { ground } = this.palette;
    context.fillStyle = ground.absent;
    context.fillRect(0, 0, width, height);
    context.drawImage(this.picture_, start, 0);
    const [left, right] = [this.view.from, this.view.to]
      .map((ns) => start + ns / this.model.span_ns * room);
    context.globalAlpha = 0.62;
    context.fillRect(start, 0, left - start, height);
    context.fillRect(right, 0, start + room - right, height);
    context.globalAlpha = 1;
    context.fillStyle = ground.accent;
    const thin = Math.max(2, 2 * ratio);
    context.fillRect(left, 0, thin, height);
    context.fillRect(right - thin, 0, thin, height);
    this.draw_share_(ratio, height);
  }

  // How much was held of what was offered in the window.
  draw_share_(ratio, height) {
    const { context } = this;
    const { ground } = this.palette;
    const bin_ns = this.bin_ns_();
    const first = Math.floor(this.view.from / bin_ns);
    const last = Math.min(overview_bins, Math.ceil(this.view.to / bin_ns));
    let held = 0;
    let offered = 0;
    for (let i = first; i < last; ++i) {
      held += this.held_[i];
      offered += this.offered_[i];
    }
    const what = this.model.has_devices ? "of GPUs held" : "of CPUs held";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillStyle = ground.ink;
    context.font = canvas_font(16, 650);
    const middle = height / ratio / 2;
    context.fillText(format_share(offered > 0 ? held / offered : 0), 10,
      middle - 8);
    context.fillStyle = ground.soft;
    context.font = canvas_font(11);
    context.fillText(what, 10, middle + 9);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  // Drag the window, one of its ends, or mark a new one.
  listen_() {
    const at = (event) => Math.max(0, Math.min(1,
      (event.offsetX - this.view.label_width) / this.view.plot_width)) *
      this.model.span_ns;
    let drag = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      const grip = 7 / this.view.plot_width * this.model.span_ns;
      const ns = at(event);
      const { from, to } = this.view;
      const whole = to - from > 0.98 * this.model.span_ns;
      if (Math.abs(ns - from) < grip && !whole) drag = { fixed: to };
      else if (Math.abs(ns - to) < grip && !whole) drag = { fixed: from };
      else if (ns > from && ns < to && !whole) drag = { moved: ns - from };
      else drag = { fixed: ns };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (drag === null) return;
      const ns = at(event);
      const size = this.view.to - this.view.from;
      if (drag.moved !== undefined)
        this.view.show(ns - drag.moved, ns - drag.moved + size);
      else if (ns !== drag.fixed)
        this.view.show(Math.min(ns, drag.fixed), Math.max(ns, drag.fixed));
    });
    for (const name of ["pointerup", "pointercancel"])
      this.canvas.addEventListener(name, () => {
        drag = null;
      });
    this.canvas.addEventListener("dblclick", () => this.view.fit());
  }
}
