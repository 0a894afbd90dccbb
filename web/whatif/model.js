// What the page shows, as columns and figures (tools/whatif/).

class Model {
  constructor(data) {
    const { meta } = data;
    this.figures = meta.figures;
    this.dated = meta.dated;
    this.from_ms = Number(BigInt(meta.from_ns) / 1000000n);
    this.window_ns = meta.window_ns;
    this.piece_ns = meta.piece_ns;
    this.sides = ["was", "would"].map((name) => ({
      name,
      waits: data.column(`${name}_waits`),
      waiting: data.column(`${name}_waiting`),
      gpu: data.column(`${name}_gpu`),
      cpu: data.column(`${name}_cpu`),
    }));
    this.names = { was: this.figures.really_is, would: "what if" };
  }

  // The end of what there is to see on either side.
  get span_ns() {
    const pieces = this.sides.map((side) =>
      Math.max(side.gpu.length, side.waiting.length));
    return Math.max(this.window_ns, Math.max(...pieces) * this.piece_ns);
  }

  // A moment since the beginning, for people.
  moment(ns) {
    return this.dated ? format_time(this.from_ms + ns / 1e6)
      : `after ${format_duration(ns)}`;
  }
}

// How many of the sessions waited at most so long: 0 to 1.
function share_within(waits, ns) {
  let low = 0;
  let high = waits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (waits[middle] <= ns) low = middle + 1;
    else high = middle;
  }
  return waits.length < 2 ? Number(low > 0)
    : Math.max(0, (low - 1) / (waits.length - 1));
}

// Columns of seconds as nanoseconds; null stays null.
function mean_ns(lengths) {
  return lengths === null ? null : lengths.mean * 1e9;
}
