// The view as a picture: names at the left, times at the top, bars between.

// Steps of the axis, in nanoseconds; those from a day on are local days.
const tick_steps = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 2e8, 5e8,
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800,
    21600, 43200].map((s) => s * second_ns),
  ...[1, 2, 7, 14, 30, 60, 120, 365, 730].map((d) => d * day_ns)];

class Chart extends View {
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
    context.font = canvas_font(11);
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
    context.font = canvas_font(this.row_height >= 18 ? 11 : 10, 500);
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
        context.font = canvas_font(12, 600);
        context.textAlign = "left";
        context.fillStyle = ground.ink;
        context.fillText(this.cut_(model.node_name[node],
          label_width - (this.row_height >= 11 ? 36 : 14)), 10, name_y);
        below = name_y + 13;
      }
      if (this.row_height < 11) return;
      context.font = canvas_font(11);
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
