// What was held, arranged in rows: one for each device and one for the CPUs
// of each node. Times are nanoseconds since the window's beginning.

const cpu_row = -1;

// The first index in [0, count) for which after(index) holds; they ascend.
function first_where(count, after) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (after(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

// Bars of one row in the order of their beginnings.
class Bars {
  constructor(count) {
    this.count = 0;
    this.alloc = new Uint32Array(count);
    this.from = new Float64Array(count);
    this.to = new Float64Array(count);
    // The latest end of all bars up to this one: what is over before a moment
    // is found by halving, though ends do not ascend.
    this.latest = new Float64Array(count);
    // Of the row's height, from below.
    this.offset = new Float32Array(count);
    this.height = new Float32Array(count);
    this.stack_ = [];
  }

  add(alloc, from, to, height) {
    const at = this.count++;
    this.alloc[at] = alloc;
    this.from[at] = from;
    this.to[at] = to;
    this.latest[at] = at === 0 ? to : Math.max(this.latest[at - 1], to);
    this.height[at] = Math.min(1, height);
    this.offset[at] = this.place_(at);
  }

  // The lowest gap that is high enough among the bars that still last.
  place_(at) {
    const height = this.height[at];
    this.stack_ = this.stack_.filter((i) => this.to[i] > this.from[at]);
    let floor = 0;
    let index = 0;
    for (; index < this.stack_.length; ++index) {
      const other = this.stack_[index];
      if (this.offset[other] - floor >= height - 1e-6) break;
      floor = Math.max(floor, this.offset[other] + this.height[other]);
    }
    // Gaps may be scattered; then it overlaps at the top.
    const offset = Math.max(0, Math.min(floor, 1 - height));
    this.stack_.splice(index, 0, at);
    return offset;
  }

  // Indices [first, last) hold all bars that touch [from, to).
  first(from) {
    return first_where(this.count, (i) => this.latest[i] > from);
  }
  last(to) {
    return first_where(this.count, (i) => this.from[i] >= to);
  }
}

class Model {
  constructor(data) {
    this.data = data;
    this.meta = data.meta;
    this.from_ns = BigInt(data.meta.from_ns);
    this.span_ns = Number(BigInt(data.meta.to_ns) - this.from_ns);
    this.from_ms = Number(this.from_ns / 1000000n) +
      Number(this.from_ns % 1000000n) / 1e6;
    for (const name of ["run_session", "run_attempt", "run_user", "run_project",
      "run_group", "run_state", "run_reason", "run_exit_code", "run_signal",
      "alloc_run", "alloc_rank", "alloc_node", "alloc_placed",
      "alloc_start_after", "alloc_from", "alloc_to", "alloc_ended",
      "alloc_cpu_milli", "alloc_memory_bytes", "alloc_shares_end",
      "share_device", "share_milli", "share_memory_bytes", "span_node",
      "span_phase", "span_devices", "span_from", "span_to",
      "node_cpu_milli", "node_devices_end"])
      this[name] = data.column(name);
    this.node_name = data.texts("node_name");
    this.device_model = data.texts("device_model");
    this.run_name = data.texts("run_name");
    this.states = data.meta.states.map((s) => s === "pending" ? "requeued" : s);
    this.arrange_rows_();
    this.fill_bars_();
    this.weigh_();
  }

  get runs() {
    return this.run_session.length;
  }
  get allocs() {
    return this.alloc_run.length;
  }
  session_id(run) {
    return `s-${this.run_session[run]}`;
  }
  shares(alloc) {
    const from = alloc === 0 ? 0 : this.alloc_shares_end[alloc - 1];
    return [from, this.alloc_shares_end[alloc]];
  }
  model_of(node, device) {
    const first = node === 0 ? 0 : this.node_devices_end[node - 1];
    const at = first + device;
    return at < this.node_devices_end[node] ? this.device_model[at] : "";
  }

  arrange_rows_() {
    const nodes = this.node_name.length;
    const devices = new Uint16Array(nodes);
    for (let i = 0; i < this.span_node.length; ++i) {
      const node = this.span_node[i];
      devices[node] = Math.max(devices[node], this.span_devices[i]);
    }
    this.rows = [];
    this.node_row = new Uint32Array(nodes);
    for (let node = 0; node < nodes; ++node) {
      this.node_row[node] = this.rows.length;
      const spans = [];
      const add = (device, capacity) =>
        this.rows.push({ node, device, capacity, spans, bars: null });
      add(cpu_row, this.node_cpu_milli[node]);
      for (let device = 0; device < devices[node]; ++device) add(device, 1000);
    }
    for (let i = 0; i < this.span_node.length; ++i)
      this.rows[this.node_row[this.span_node[i]]].spans.push(i);
    this.has_devices = devices.some((count) => count > 0);
    this.node_devices = devices;
  }

  // Calls visit(row, alloc, thousandths) for each bar of the picture.
  each_bar_(order, visit) {
    for (const alloc of order) {
      const first = this.node_row[this.alloc_node[alloc]];
      if (this.alloc_cpu_milli[alloc] > 0)
        visit(first, alloc, this.alloc_cpu_milli[alloc]);
      const [from, to] = this.shares(alloc);
      for (let i = from; i < to; ++i)
        visit(first + 1 + this.share_device[i], alloc, this.share_milli[i]);
    }
  }

  fill_bars_() {
    const order = new Uint32Array(this.allocs).map((_, i) => i);
    const from = this.alloc_from;
    order.sort((a, b) => from[a] - from[b] || a - b);
    this.by_time = order;
    const counts = new Uint32Array(this.rows.length);
    this.each_bar_(order, (row) => ++counts[row]);
    this.rows.forEach((row, i) => {
      row.bars = new Bars(counts[i]);
    });
    this.each_bar_(order, (row, alloc, milli) => {
      const { bars, capacity } = this.rows[row];
      bars.add(alloc, from[alloc], this.alloc_to[alloc], milli / capacity);
    });
  }

  // Thousandths times nanoseconds of each run: of GPUs where there are any.
  weigh_() {
    this.alloc_milli = new Float64Array(this.allocs);
    this.run_weight = new Float64Array(this.runs);
    for (let alloc = 0; alloc < this.allocs; ++alloc) {
      let milli = this.has_devices ? 0 : this.alloc_cpu_milli[alloc];
      const [from, to] = this.shares(alloc);
      if (this.has_devices)
        for (let i = from; i < to; ++i) milli += this.share_milli[i];
      this.alloc_milli[alloc] = milli;
      this.run_weight[this.alloc_run[alloc]] +=
        milli * (this.alloc_to[alloc] - this.alloc_from[alloc]);
    }
  }

  unix_ms(ns) {
    return this.from_ms + ns / 1e6;
  }

  // The bar of a row at a moment and a height, or the nearest within
  // `slack_ns`; and how many others are too short to be told from it.
  bar_at(row, ns, height, slack_ns) {
    const { bars } = this.rows[row];
    let best = -1;
    let best_distance = Infinity;
    const is_short = (i) => bars.to[i] - bars.from[i] < 2 * slack_ns;
    let short = 0;
    const last = bars.last(ns + slack_ns);
    for (let i = bars.first(ns - slack_ns); i < last; ++i) {
      if (bars.to[i] <= ns - slack_ns) continue;
      if (is_short(i)) ++short;
      const beside = Math.max(bars.from[i] - ns, ns - bars.to[i], 0);
      const bottom = bars.offset[i];
      const above = Math.max(bottom - height,
        height - bottom - bars.height[i], 0);
      const distance = beside / slack_ns + 4 * above;
      if (distance >= best_distance) continue;
      best_distance = distance;
      best = i;
    }
    if (best < 0) return null;
    return { alloc: bars.alloc[best],
      others: is_short(best) ? short - 1 : short };
  }

  // What a row was at a moment when nothing was held: {phase, from, to}, where
  // a gap ends at the nearest bar or change of the node; null: not there.
  gap_at(row, ns) {
    const { bars, spans, device } = this.rows[row];
    const span = spans.find((i) => this.span_from[i] <= ns &&
      ns < this.span_to[i] && device < this.span_devices[i]);
    if (span === undefined) return null;
    let from = this.span_from[span];
    let to = this.span_to[span];
    const next = bars.last(ns);
    if (next < bars.count) to = Math.min(to, bars.from[next]);
    if (next > 0) from = Math.max(from, Math.min(ns, bars.latest[next - 1]));
    return { phase: this.meta.phases[this.span_phase[span]], from, to };
  }
}
