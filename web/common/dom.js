// Elements and theme. Text reaches the page through textContent alone, so
// that no name from outside can become markup.

// element("td", {class: "number"}, "12", other_element)
function element(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    made.setAttribute(name, value);
  made.append(...content);
  return made;
}

function canvas_font(size, weight = 400) {
  return `${weight} ${size}px system-ui, "Segoe UI", Roboto, ` +
    `"DejaVu Sans", sans-serif`;
}

function by_id(id) {
  return document.getElementById(id);
}

// "light" or "dark": what was chosen here before, else what the system has.
const theme = {
  system_: matchMedia("(prefers-color-scheme: dark)"),
  chosen_: null,
  get name() {
    return this.chosen_ ?? (this.system_.matches ? "dark" : "light");
  },
  apply_() {
    document.documentElement.dataset.theme = this.name;
  },
  toggle() {
    this.chosen_ = this.name === "dark" ? "light" : "dark";
    this.apply_();
  },
  // Calls changed() when the system turns; toggle() leaves it to the caller.
  start(changed) {
    this.apply_();
    this.system_.addEventListener("change", () => {
      this.apply_();
      changed();
    });
  },
};

// What to show in place of a page that cannot work.
function give_up(sentence) {
  document.body.replaceChildren(element("p", { class: "sorry" }, sentence));
}
