// Puts the parts together: keys, pointer, controls.

class Page {
  constructor(model) {
    this.model = model;
    this.palette = new Palette(model);
    this.view = new Chart(model, this.palette);
    this.facts = new Facts(model, this.palette);
    this.search = new Search(model);
    this.overview = new Overview(model, this.palette, this.view);
    this.view.changed = () => this.draw_soon();
    this.view.cpus_changed = () =>
      by_id("cpus").setAttribute("aria-pressed", this.view.cpus);
    this.head_();
    this.listen_controls_();
    this.listen_pointer_();
    this.listen_keys_();
    theme.start(() => this.recolour());
    this.recolour();
  }

  // At most one picture for each frame of the screen.
  draw_soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.view.draw();
      this.overview.draw();
      this.say_seen_();
    });
  }

  // Which part of the range is seen, where it is not the whole.
  say_seen_() {
    const { from, to } = this.view;
    const whole = to - from >= this.model.span_ns;
    const [first, last] = [from, to].map((ns) =>
      format_time(this.model.unix_ms(ns), to - from < 20 * second_ns));
    const one_day = last.slice(0, 10) === first.slice(0, 10);
    const end = one_day ? last.slice(11) : last;
    by_id("seen").textContent = whole ? ""
      : `seen: ${first} to ${end} (${format_duration(to - from)})`;
  }

  recolour() {
    this.palette.refresh();
    this.overview.refresh();
    this.draw_legend_();
    this.draw_soon();
  }

  head_() {
    const { model } = this;
    by_id("title").textContent = `Timeline of ${model.meta.cell}`;
    const nodes = model.node_name.length;
    const devices = model.node_devices.reduce((sum, n) => sum + n, 0);
    by_id("range").textContent =
      `${format_time(model.from_ms)} to ` +
      `${format_time(model.unix_ms(model.span_ns))} ` +
      `(${format_duration(model.span_ns)}), ${format_count(nodes)} nodes, ` +
      `${format_count(devices)} GPUs, ` +
      `${format_count(model.allocs)} allocations`;
    by_id("cpus").hidden = !model.has_devices;
  }

  // -- controls ---------------------------------------------------------------

  listen_controls_() {
    const on = (id, name, react) => by_id(id).addEventListener(name, react);
    on("colour_by", "change", (event) => {
      this.palette.use(event.target.value);
      this.recolour();
    });
    on("cpus", "click", () => this.view.set_cpus(!this.view.cpus));
    on("lower", "click", () => this.view.step_height(-1));
    on("higher", "click", () => this.view.step_height(1));
    on("fit", "click", () => this.view.fit());
    on("theme", "click", () => {
      theme.toggle();
      this.recolour();
    });
    on("help", "click", () => this.toggle_help());
    on("search", "input", () => {
      clearTimeout(this.search_timer);
      this.search_timer = setTimeout(() => this.search_now(), 90);
    });
    on("search", "keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      clearTimeout(this.search_timer);
      if (by_id("search").value !== this.searched) this.search_now();
      this.next_hit(event.shiftKey ? -1 : 1);
    });
    on("chart", "scroll", () => {
      if (!this.facts.pinned) this.facts.hide();
      this.draw_soon();
    });
    new ResizeObserver(() => this.view.resized()).observe(by_id("chart"));
    addEventListener("resize", () => this.draw_soon());
  }

  toggle_help(open = by_id("keys").hidden) {
    by_id("keys").hidden = !open;
    by_id("help").setAttribute("aria-expanded", open);
  }

  search_now() {
    this.searched = by_id("search").value;
    const count = this.search.run(this.searched);
    this.palette.matches = this.search.matches;
    this.say_found_(count);
    this.recolour();
  }

  say_found_(count) {
    this.found = count;
    const { at } = this.search;
    const hits = this.search.hits.length;
    by_id("found").textContent = count === null ? ""
      : hits === 0 ? "nothing found"
        : at >= 0 ? `${format_count(at + 1)} of ${format_count(hits)}`
          : `${format_count(hits)} found`;
  }

  next_hit(step) {
    const alloc = this.search.step(step);
    if (alloc === null) return;
    this.say_found_(this.found);
    const { x, y } = this.view.go_to(alloc);
    this.view.hovered = alloc;
    const place = this.view.canvas.getBoundingClientRect();
    this.facts.show_allocation(alloc, 0, place.left + x, place.top + y);
    this.facts.pin();
  }

  draw_legend_() {
    const { palette } = this;
    const legend = by_id("legend");
    const top = legend.scrollTop;
    const shown = palette.names === null ? [] : palette.order.slice(0, 40);
    const chips = shown.map((key) => {
      const swatch = element("span", { class: "swatch" });
      swatch.style.background = palette.colour(key);
      const chip = element("button",
        { "aria-pressed": palette.picked === key, title: palette.names[key] },
        swatch, element("span", { class: "name" }, palette.names[key] || "-"),
        element("span", { class: "share number" },
          format_share(palette.share_of[key])));
      chip.addEventListener("click", () => {
        palette.picked = palette.picked === key ? null : key;
        this.recolour();
      });
      return chip;
    });
    if (palette.order.length > shown.length && palette.names !== null)
      chips.push(element("span", { class: "share" },
        `and ${format_count(palette.order.length - shown.length)} more`));
    legend.replaceChildren(...chips, this.marks_());
    legend.scrollTop = top;
  }

  // What gaps look like, drawn as the chart draws them.
  marks_() {
    const marks = element("span", { class: "marks" });
    for (const phase of ["idle", "drained", "lost"]) {
      const swatch = element("canvas",
        { class: "swatch", width: 16, height: 16 });
      const context = swatch.getContext("2d");
      const image = new ImageData(16, 16);
      const pixels = new Uint32Array(image.data.buffer);
      pixels.fill(this.palette.idle);
      for (let i = 0; i < 256 && phase !== "idle"; ++i)
        if (is_marked(phase, i & 15, i >> 4))
          pixels[i] = this.palette.marks[phase];
      context.putImageData(image, 0, 0);
      marks.append(element("span", {}, swatch, phase));
    }
    return marks;
  }

  // -- pointer ----------------------------------------------------------------

  listen_pointer_() {
    const { canvas } = this.view;
    const on = (name, react, options) =>
      canvas.addEventListener(name, react, options);
    this.pointers = new Map();
    on("wheel", (event) => this.wheel_(event), { passive: false });
    on("pointerdown", (event) => this.press_(event));
    on("pointermove", (event) => this.move_(event));
    on("pointerup", (event) => this.release_(event));
    on("pointercancel", (event) => this.release_(event));
    on("pointerleave", () => {
      if (!this.facts.pinned) this.let_go_();
    });
    on("dblclick", (event) => {
      const found = this.view.at(event.offsetX, event.offsetY);
      if (found?.alloc === undefined) return;
      const { model } = this;
      const [from, to] = [model.alloc_from[found.alloc],
        model.alloc_to[found.alloc]];
      this.view.show(from - (to - from) / 8, to + (to - from) / 8);
    });
  }

  wheel_(event) {
    const { view } = this;
    const over_names = event.offsetX < view.label_width;
    if (over_names && !event.ctrlKey) return;  // the rows scroll
    event.preventDefault();
    if (!this.facts.pinned) this.let_go_();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
    const [dx, dy] = [event.deltaX * lines, event.deltaY * lines];
    if (event.shiftKey || Math.abs(dx) > Math.abs(dy))
      view.pan(dx || dy);
    else
      view.zoom(Math.exp(Math.max(-240, Math.min(240, dy)) * 0.0022),
        event.offsetX);
  }

  press_(event) {
    if (event.button !== 0) return;
    const { view } = this;
    view.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.drag = { x: event.offsetX, y: event.offsetY, from: view.from,
      to: view.to, top: view.chart.scrollTop, moved: false,
      marking: event.shiftKey, names: event.offsetX < view.label_width };
    if (this.pointers.size === 2) this.drag.pinch = this.spread_();
  }

  // Distance and middle of two fingers.
  spread_() {
    const [[ax], [bx]] = [...this.pointers.values()];
    return { size: Math.max(20, Math.abs(ax - bx)), middle: (ax + bx) / 2 };
  }

  move_(event) {
    const { view, drag } = this;
    if (!drag || !this.pointers.has(event.pointerId)) {
      if (!this.facts.pinned) this.hover_(event);
      return;
    }
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (this.pointers.size === 2) return this.pinch_();
    const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    if (!drag.moved && !this.facts.pinned) this.let_go_();
    drag.moved = true;
    if (drag.marking) return this.mark_(event.offsetX);
    view.canvas.style.cursor = "grabbing";
    if (!drag.names) {
      const ns = dx * (drag.to - drag.from) / view.plot_width;
      view.show(drag.from - ns, drag.to - ns);
    }
    view.chart.scrollTop = drag.top - dy;
  }

  pinch_() {
    const { view, drag } = this;
    if (!drag.pinch) return;
    const now = this.spread_();
    drag.moved = true;
    view.zoom(drag.pinch.size / now.size, now.middle);
    view.pan(drag.pinch.middle - now.middle);
    drag.pinch = now;
  }

  mark_(x) {
    const { view, drag } = this;
    const place = view.canvas.getBoundingClientRect();
    const clamp = (at) => Math.max(view.label_width, Math.min(view.width, at));
    const left = Math.min(clamp(drag.x), clamp(x));
    const right = Math.max(clamp(drag.x), clamp(x));
    const band = by_id("selection");
    band.hidden = false;
    band.style.left = `${place.left + left}px`;
    band.style.top = `${place.top + axis_height}px`;
    band.style.width = `${right - left}px`;
    band.style.height = `${view.plot_height}px`;
    drag.band = [left, right];
  }

  release_(event) {
    const { view, drag } = this;
    this.pointers.delete(event.pointerId);
    view.canvas.style.cursor = "";
    if (!drag || this.pointers.size > 0) return;
    this.drag = null;
    by_id("selection").hidden = true;
    if (drag.band) {
      const [from, to] = drag.band.map((x) => view.ns_at(x));
      if (to > from) view.show(from, to);
    } else if (!drag.moved && event.type === "pointerup") {
      this.click_(event);
    }
  }

  click_(event) {
    this.let_go_();
    const found = this.hover_(event);
    if (found?.alloc === undefined) return;
    this.view.selected = this.model.alloc_run[found.alloc];
    this.facts.pin();
    this.draw_soon();
  }

  hover_(event) {
    const found = this.view.at(event.offsetX, event.offsetY);
    const alloc = found?.alloc ?? null;
    if (alloc !== this.view.hovered) {
      this.view.hovered = alloc;
      this.draw_soon();
    }
    if (!found) this.facts.hide();
    else if (found.gap)
      this.facts.show_gap(found.row, found.gap, event.clientX, event.clientY);
    else
      this.facts.show_allocation(alloc, found.others, event.clientX,
        event.clientY);
    return found;
  }

  let_go_() {
    this.facts.hide();
    if (this.view.hovered === null && this.view.selected === null) return;
    this.view.hovered = this.view.selected = null;
    this.draw_soon();
  }

  // -- keys -------------------------------------------------------------------

  listen_keys_() {
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") return this.escape_();
      const typing = event.target.matches("input, select");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const act = this.keys_()[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  keys_() {
    const { view } = this;
    const middle = view.label_width + view.plot_width / 2;
    const page = view.plot_height * 0.9;
    return {
      ArrowLeft: () => view.pan(-0.15 * view.plot_width),
      ArrowRight: () => view.pan(0.15 * view.plot_width),
      ArrowUp: () => view.scroll(-3 * view.row_height),
      ArrowDown: () => view.scroll(3 * view.row_height),
      PageUp: () => view.scroll(-page),
      PageDown: () => view.scroll(page),
      Home: () => view.show(0, view.to - view.from),
      End: () => view.show(this.model.span_ns - view.to + view.from,
        this.model.span_ns),
      "+": () => view.zoom(0.7, middle),
      "=": () => view.zoom(0.7, middle),
      "-": () => view.zoom(1 / 0.7, middle),
      0: () => view.fit(),
      "[": () => view.step_height(-1),
      "]": () => view.step_height(1),
      n: () => this.next_hit(1),
      N: () => this.next_hit(-1),
      "/": () => by_id("search").select(),
      "?": () => this.toggle_help(),
    };
  }

  escape_() {
    this.toggle_help(false);
    this.let_go_();
    if (by_id("search").value === "") return by_id("chart").focus();
    by_id("search").value = "";
    this.search_now();
    by_id("search").blur();
  }
}

try {
  const page = new Page(new Model(await load_page_data()));
  page.draw_soon();
} catch (error) {
  give_up(`This browser cannot show the page (${error.message}). Chromium, ` +
    "Firefox or Safari of 2023 or newer can.");
  throw error;
}
