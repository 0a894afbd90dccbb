// What there is to know about one allocation or one gap, as a small table.

class Facts {
  constructor(model, palette) {
    this.model = model;
    this.palette = palette;
    this.panel = by_id("facts");
    this.pinned = false;
  }

  hide() {
    this.panel.hidden = true;
    this.pinned = false;
    this.panel.classList.remove("pinned");
  }

  pin() {
    this.pinned = !this.panel.hidden;
    this.panel.classList.toggle("pinned", this.pinned);
  }

  // Beside the point, within the page.
  show_(x, y, content) {
    this.panel.replaceChildren(...content);
    this.panel.hidden = false;
    const { width, height } = this.panel.getBoundingClientRect();
    const beside = x + 16 + width < innerWidth ? x + 16 : x - 16 - width;
    const below = y + 16 + height < innerHeight ? y + 16 : y - 16 - height;
    const place = (at, size, room) =>
      `${Math.max(8, Math.min(at, room - size - 8))}px`;
    this.panel.style.left = place(beside, width, innerWidth);
    this.panel.style.top = place(below, height, innerHeight);
  }

  table_(rows) {
    const body = element("table");
    for (const [name, value, style] of rows)
      body.append(element("tr", {}, element("th", {}, name),
        element("td", style ? { class: style } : {}, value)));
    return body;
  }

  show_allocation(alloc, others, x, y) {
    const { model } = this;
    const run = model.alloc_run[alloc];
    const swatch = element("span", { class: "swatch" });
    swatch.style.background =
      this.palette.colour(this.palette.key_of[run]);
    const name = model.run_name[run];
    const content = [
      element("h2", {}, swatch, model.session_id(run) + (name && ` ${name}`)),
      this.table_(this.allocation_rows_(alloc, run))];
    if (others > 0)
      content.push(element("p", { class: "more" },
        `and ${format_count(others)} more here: zoom in`));
    this.show_(x, y, content);
  }

  allocation_rows_(alloc, run) {
    const { model } = this;
    const time = (ns) => format_time(model.unix_ms(ns), true);
    const from = model.alloc_placed[alloc];
    const to = model.alloc_to[alloc];
    const ended = model.alloc_ended[alloc] === 1;
    const after = model.alloc_start_after[alloc];
    const rows = [
      ["user", model.meta.users[model.run_user[run]]],
      ["project", model.meta.projects[model.run_project[run]]],
      ["group", model.meta.groups[model.run_group[run]]],
      ["node", model.node_name[model.alloc_node[alloc]]],
      ["held", this.holding_(alloc)],
      ["from", time(from)],
      ["to", ended ? time(to) : `${time(to)}, and on`],
      ["for", format_duration(to - from)]];
    if (after < 0) rows.push(["started", "never"]);
    else if (after >= 1e9)
      rows.push(["started", `${format_duration(after)} after its placement`]);
    const { sentence, bad } = this.outcome_(run);
    rows.push(["state", sentence, bad ? "bad" : ""]);
    const more = [];
    if (model.run_attempt[run] > 1)
      more.push(`attempt ${model.run_attempt[run]}`);
    if (model.alloc_rank[alloc] > 0)
      more.push(`task ${model.alloc_rank[alloc]}`);
    if (more.length > 0) rows.push(["of", more.join(", ")]);
    return rows;
  }

  holding_(alloc) {
    const { model } = this;
    const parts = [`${format_milli(model.alloc_cpu_milli[alloc])} CPU`];
    if (model.alloc_memory_bytes[alloc] > 0)
      parts.push(format_bytes(model.alloc_memory_bytes[alloc]));
    const [from, to] = model.shares(alloc);
    let last = null;  // whole devices of one sort, side by side
    for (let i = from; i < to; ++i) {
      const device = model.share_device[i];
      const sort = model.model_of(model.alloc_node[alloc], device);
      const milli = model.share_milli[i];
      if (milli === 1000 && last?.sort === sort && last.to === device - 1) {
        last.to = device;
        parts.pop();
      } else {
        last = milli === 1000 ? { from: device, to: device, sort } : null;
      }
      const name = last !== null && last.from < last.to
        ? `GPUs ${last.from} to ${last.to}` : `GPU ${device}`;
      parts.push(name + (sort && ` ${sort}`) + this.share_(i));
    }
    return parts.join(", ");
  }

  share_(i) {
    const { share_milli, share_memory_bytes } = this.model;
    if (share_milli[i] === 1000) return "";
    const memory = share_memory_bytes[i] > 0
      ? `, ${format_bytes(share_memory_bytes[i])}` : "";
    return ` (${format_milli(share_milli[i])}${memory})`;
  }

  outcome_(run) {
    const { model } = this;
    const state = model.states[model.run_state[run]];
    const reason = model.meta.reasons[model.run_reason[run]];
    const over = ["succeeded", "failed", "cancelled", "lost", "requeued"]
      .includes(state);
    const parts = [over ? state : `${state} at the end of this picture`];
    const signal = model.run_signal[run];
    if (signal > 0) parts.push(`signal ${signal}`);
    else if (over && reason === "exited" && state !== "requeued")
      parts.push(`exit code ${model.run_exit_code[run]}`);
    if (reason !== "none" && reason !== "exited" && reason !== state)
      parts.push(reason.replaceAll("_", " "));
    return { sentence: parts.join(", "),
      bad: state === "failed" || state === "lost" };
  }

  show_gap(row, gap, x, y) {
    const { model } = this;
    const { node, device } = model.rows[row];
    const sort = device === cpu_row ? "CPUs"
      : `GPU ${device} ${model.model_of(node, device)}`;
    const what = gap.phase === "up" ? "idle" : gap.phase;
    const time = (ns) => format_time(model.unix_ms(ns), true);
    this.show_(x, y, [
      element("h2", {}, `${what}: ${model.node_name[node]} ${sort}`),
      this.table_([["from", time(gap.from)], ["to", time(gap.to)],
        ["for", format_duration(gap.to - gap.from)]])]);
  }
}

// Search: session ids ("s-12", "12"), and parts of users, projects, names and
// nodes. Every word must match.
class Search {
  constructor(model) {
    this.model = model;
    this.hits = [];  // allocations, in time
    this.at = -1;
  }

  // The number of runs that match, or null for an empty search.
  run(text) {
    const { model } = this;
    this.hits = [];
    this.at = -1;
    this.matches = null;
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return null;
    this.names_ ??= model.run_name.map((name) => name.toLowerCase());
    const matches = new Uint8Array(model.runs).fill(1);
    for (const word of words) this.narrow_(matches, word);
    this.matches = matches;
    for (const alloc of model.by_time)
      if (matches[model.alloc_run[alloc]]) this.hits.push(alloc);
    return matches.reduce((sum, match) => sum + match, 0);
  }

  narrow_(matches, word) {
    const { model } = this;
    const among = (names) =>
      names.map((name) => name.toLowerCase().includes(word));
    const users = among(model.meta.users);
    const projects = among(model.meta.projects);
    const states = model.states.map((name) => name === word);
    const nodes = among(model.node_name);
    const on_node = new Uint8Array(model.runs);
    if (nodes.includes(true))
      for (let i = 0; i < model.allocs; ++i)
        if (nodes[model.alloc_node[i]]) on_node[model.alloc_run[i]] = 1;
    const number = /^(s-)?\d+$/.test(word)
      ? Number(word.replace("s-", "")) : NaN;
    for (let run = 0; run < model.runs; ++run)
      matches[run] &= users[model.run_user[run]] ||
        projects[model.run_project[run]] || states[model.run_state[run]] ||
        on_node[run] || model.run_session[run] === number ||
        this.names_[run].includes(word) ? 1 : 0;
  }

  // The next or (step -1) the previous hit; null where there is none.
  step(step) {
    if (this.hits.length === 0) return null;
    const count = this.hits.length;
    this.at = this.at < 0 && step < 0 ? count - 1
      : (this.at + step + count) % count;
    return this.hits[this.at];
  }
}
