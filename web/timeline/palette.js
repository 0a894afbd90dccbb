// Which colour a run has: by user, project, group, state or session. What is
// not searched for, or not picked in the legend, fades.

const ground_colours = {
  light: { absent: "#fbfbf9", idle: "#e9ebe6", drained: "#e9c97c",
    lost: "#e58e86", ink: "#1d2125", soft: "#5c646d", faint: "#8b939c",
    line: "#d9d9d3", panel: "#ffffff", accent: "#0b66c3" },
  dark: { absent: "#14171a", idle: "#262b30", drained: "#86692a",
    lost: "#8e3d37", ink: "#e7e9eb", soft: "#a7afb7", faint: "#757e87",
    line: "#343a40", panel: "#1c2024", accent: "#5fb0ff" },
};
const faded_share = 0.84;
const colours_max = 12;

class Palette {
  constructor(model) {
    this.model = model;
    this.by = "user";
    this.matches = null;  // of a search: a byte for each run
    this.picked = null;   // one key of the legend
    this.use("user");
  }

  // Keys of the mode, the largest first; `key_of` gives each run's.
  use(by) {
    const { model } = this;
    this.by = by;
    this.picked = null;
    const columns = { user: [model.run_user, model.meta.users],
      project: [model.run_project, model.meta.projects],
      group: [model.run_group, model.meta.groups],
      state: [model.run_state, model.states] };
    if (by === "session") {
      this.key_of = Uint32Array.from(model.run_session,
        (id) => (id * 2654435761 >>> 7) % colours_max);
      this.names = null;
    } else {
      [this.key_of, this.names] = columns[by];
    }
    const count = this.names?.length ?? colours_max;
    const weights = new Float64Array(count);
    const runs = new Uint32Array(count);
    let all = 0;
    for (let run = 0; run < model.runs; ++run) {
      weights[this.key_of[run]] += model.run_weight[run];
      ++runs[this.key_of[run]];
      all += model.run_weight[run];
    }
    this.order = Array.from(weights.keys()).filter((key) => runs[key] > 0)
      .sort((a, b) => weights[b] - weights[a] || a - b);
    this.share_of = Array.from(weights, (w) => all > 0 ? w / all : 0);
    this.refresh();
  }

  get theme() {
    return theme.name;
  }
  get ground() {
    return ground_colours[this.theme];
  }

  // "#rrggbb" of a key.
  colour(key) {
    if (this.by === "state")
      return state_colours[this.theme][this.names[key]];
    const rank = this.by === "session" ? key : this.order.indexOf(key);
    return category_colours[this.theme][rank] ?? other_colour[this.theme];
  }

  is_faded(run) {
    return (this.matches !== null && !this.matches[run]) ||
      (this.picked !== null && this.picked !== this.key_of[run]);
  }

  // After a change of theme, search or pick.
  refresh() {
    const { ground } = this;
    const idle = pixel_of(ground.idle);
    const count = this.names?.length ?? colours_max;
    const full = Array.from({ length: count }, (_, key) =>
      pixel_of(this.colour(key) ?? other_colour[this.theme]));
    const faded = full.map((pixel) => mixed(pixel, idle, faded_share));
    this.pixel_of_run = new Uint32Array(this.model.runs);
    for (let run = 0; run < this.model.runs; ++run) {
      const key = this.key_of[run];
      this.pixel_of_run[run] = this.is_faded(run) ? faded[key] : full[key];
    }
    this.idle = idle;
    this.absent = pixel_of(ground.absent);
    this.marks = { drained: pixel_of(ground.drained),
      lost: pixel_of(ground.lost) };
    this.edge = pixel_of(ground.absent);
    this.grid = mixed(idle, pixel_of(ground.line), 0.8);
  }
}

// Hatching, so that a state is told without its colour: drained is striped,
// lost is crossed.
function is_marked(phase, x, y) {
  const up = (x + y) & 7;
  const down = (x - y) & 7;
  return phase === "drained" ? up < 3 : up < 2 || down < 2;
}
