// Colours of categories: apart from each other on light and on dark ground,
// and told apart by people who see fewer colours as far as twelve allow. The
// first goes to the largest.

const category_colours = {
  light: ["#3274b8", "#e0862b", "#3a9a5b", "#c94a53", "#8463b5", "#8a6044",
    "#d56fae", "#7f9a2d", "#22a0ad", "#a58a14", "#5561c7", "#b4562f"],
  dark: ["#5b9fe0", "#f0a04f", "#57bd7b", "#e8727a", "#a58bd8", "#b98c6c",
    "#e993c6", "#a3bf52", "#45c1ce", "#ccae3a", "#8a94ec", "#d97f58"],
};
const other_colour = { light: "#8d949b", dark: "#8a929a" };

// How a session ended, or that it has not.
const state_colours = {
  light: { running: "#3274b8", starting: "#7aa9dc", placed: "#a9c6e6",
    stopping: "#8463b5", succeeded: "#3a9a5b", failed: "#c94a53",
    cancelled: "#a58a14", lost: "#1d2125", requeued: "#e0862b" },
  dark: { running: "#5b9fe0", starting: "#3f6f9f", placed: "#2f5377",
    stopping: "#a58bd8", succeeded: "#57bd7b", failed: "#e8727a",
    cancelled: "#ccae3a", lost: "#f3f4f5", requeued: "#f0a04f" },
};

// "#rrggbb" as a pixel of an ImageData seen as little-endian words.
function pixel_of(hex, alpha = 255) {
  const value = parseInt(hex.slice(1), 16);
  const [r, g, b] = [value >> 16, (value >> 8) & 255, value & 255];
  return ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

// One colour between two pixels; share 0 is the first.
function mixed(from, to, share) {
  const part = (shift) => {
    const a = (from >>> shift) & 255;
    const b = (to >>> shift) & 255;
    return Math.round(a + (b - a) * share) << shift;
  };
  return ((255 << 24) | part(16) | part(8) | part(0)) >>> 0;
}
