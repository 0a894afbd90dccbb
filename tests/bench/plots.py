"""The pictures of docs/benchmarks.md, from the lines of the benchmarks: SVG
without anything from elsewhere."""
import html
import math
import os
import re

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 58, 46
COLOURS = ("#2563a8", "#c2571a", "#4b8b3b", "#7a5195", "#888888")


def text(x, y, words, **how):
    attributes = "".join(f' {key.replace("_", "-")}="{value}"'
                         for key, value in how.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>' \
        f"{html.escape(words)}</text>"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"


class Picture:
    """Axes with a title and a legend; y from `low` to `high`."""

    def __init__(self, title, unit, low, high, logarithmic=False):
        self.low, self.high, self.logarithmic = low, high, logarithmic
        self.parts = [
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            text(LEFT, 20, title, font_size=15, font_weight="bold"),
            text(LEFT - 8, TOP - 8, unit, text_anchor="end", fill="#555555")]
        for tick in self.ticks():
            y = self.y(tick)
            self.parts.append(
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                f'y2="{y:.1f}" stroke="#dddddd"/>')
            self.parts.append(text(LEFT - 8, y + 4, number(tick),
                                   text_anchor="end", fill="#555555"))

    def ticks(self):
        if self.logarithmic:
            tick = 10 ** math.ceil(math.log10(self.low))
            while tick <= self.high:
                yield tick
                tick *= 10
            return
        span = self.high - self.low
        step = 10 ** math.floor(math.log10(span / 2))
        step *= next(times for times in (1, 2, 5, 10)
                     if span / (step * times) <= 6)
        tick = math.ceil(self.low / step) * step
        while tick <= self.high:
            yield tick
            tick += step

    def y(self, value):
        if self.logarithmic:
            part = math.log(max(value, self.low) / self.low) \
                / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

    def legend(self, names):
        x = LEFT
        for name, colour in zip(names, COLOURS):
            self.parts.append(f'<rect x="{x}" y="31" width="11" height="11" '
                              f'fill="{colour}"/>')
            self.parts.append(text(x + 16, 41, name))
            x += 30 + 7 * len(name)

    def bars(self, groups, names):
        """groups: (label, values by name; None is no bar)."""
        self.legend(names)
        wide = (WIDTH - LEFT - RIGHT) / len(groups)
        for i, (label, values) in enumerate(groups):
            begin = LEFT + wide * (i + 0.1)
            width = wide * 0.8 / len(names)
            for k, value in enumerate(values):
                if value is None:
                    continue
                x, y = begin + k * width, self.y(value)
                self.parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{width - 2:.1f}" '
                    f'height="{HEIGHT - BOTTOM - y:.1f}" '
                    f'fill="{COLOURS[k]}"><title>{html.escape(label)}, '
                    f"{html.escape(names[k])}: {value:,.2f}</title></rect>")
            self.parts.append(text(LEFT + wide * (i + 0.5),
                                   HEIGHT - BOTTOM + 18, label,
                                   text_anchor="middle"))

    def lines(self, series, x_name):
        """series: (name, points, spreads); all share their x, drawn on a
        logarithmic axis."""
        self.legend([name for name, _, _ in series])
        xs = sorted({x for _, points, _ in series for x, _ in points})
        first, last = math.log(xs[0]), math.log(xs[-1])

        def at(x):
            part = (math.log(x) - first) / (last - first)
            return LEFT + 20 + part * (WIDTH - LEFT - RIGHT - 50)
        for x in xs:
            self.parts.append(text(at(x), HEIGHT - BOTTOM + 18, number(x),
                                   text_anchor="middle"))
        self.parts.append(text((LEFT + WIDTH) / 2, HEIGHT - 8, x_name,
                               text_anchor="middle", fill="#555555"))
        for (name, points, spreads), colour in zip(series, COLOURS):
            way = " ".join(f"{at(x):.1f},{self.y(y):.1f}" for x, y in points)
            self.parts.append(f'<polyline points="{way}" fill="none" '
                              f'stroke="{colour}" stroke-width="2"/>')
            for (x, y), (least, most) in zip(points, spreads):
                self.parts.append(
                    f'<line x1="{at(x):.1f}" x2="{at(x):.1f}" '
                    f'y1="{self.y(least):.1f}" y2="{self.y(most):.1f}" '
                    f'stroke="{colour}"/>')
                self.parts.append(
                    f'<circle cx="{at(x):.1f}" cy="{self.y(y):.1f}" r="3.5" '
                    f'fill="{colour}"><title>{html.escape(name)}, '
                    f"{number(x)}: {y:,.2f}</title></circle>")

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
                f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
                'font-family="sans-serif" font-size="12" fill="#222222">\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def by_name(lines, pattern):
    """Lines by what the groups of the pattern match in their names."""
    found = {}
    for line in lines:
        match = re.fullmatch(pattern, line["name"])
        if match:
            found[match.groups()] = line
    return found


def decisions(lines, path):
    series = []
    for quantile in ("p50", "p99"):
        of = by_name(lines, rf"decisions (\d+) nodes (1000) classes event "
                            rf"{quantile}")
        points = sorted((int(nodes), line) for (nodes, _), line in of.items())
        series.append((f"{quantile} of an event",
                       [(x, line["value"]) for x, line in points],
                       [(line["min"], line["max"]) for _, line in points]))
    if len(series[0][1]) < 2:
        return False
    picture = Picture("What one event costs the scheduler, by cluster size",
                      "us", 0.1, 10_000, logarithmic=True)
    picture.lines(series, "nodes of 8 GPUs, 100,000 sessions waiting in 1,000 "
                          "classes; the goal for the p99 is 10,000 us")
    picture.save(path)
    return True


def packing(lines, path):
    files = ("default", "cpu250", "gpuspec33", "multigpu50")
    of = by_name(lines, r"openb (\w+) (best_fit|fragmentation) at (100|130)")
    groups = []
    for file in files:
        for at in ("100", "130"):
            plain = of.get((file, "best_fit", at))
            ours = of.get((file, "fragmentation", at))
            if not plain or not ours:
                return False
            groups.append((f"{file} {at}", [plain["peer"]["value"],
                                            plain["value"],
                                            ours["peer"]["value"],
                                            ours["value"]]))
    picture = Picture("GPUs held when 100 % and 130 % of them were asked for",
                      "%", 75, 100)
    picture.bars([(label.replace("default", "def.").replace("cpu250", "cpu")
                   .replace("gpuspec33", "spec").replace("multigpu50", "multi"),
                   values) for label, values in groups],
                 ("published BestFit", "best_fit", "published FGD",
                  "fragmentation"))
    picture.save(path)
    return True


def queueing(lines, path):
    of = by_name(lines, r"helios (.+), (rounds of 60 s|event-driven), "
                        r"mean completion")
    groups = []
    for (policy, how), line in of.items():
        peer = line["peer"]
        short = policy.replace("conservative", "cons.") \
            .replace("easy,estimates=history, no limits told", "history")
        if "," in short:
            continue
        groups.append((short + (" 60 s" if "60" in how else ""),
                       [peer["value"] if peer else None, line["value"]]))
    if not groups:
        return False
    picture = Picture("Mean completion of the Helios slice", "s", 0, 30_000)
    picture.bars(groups, ("published", "Reeve"))
    picture.save(path)
    return True


PICTURES = {"decisions": decisions, "packing": packing, "queueing": queueing}


def draw(found, folder):
    """Those whose benchmarks have figures."""
    os.makedirs(folder, exist_ok=True)
    for name, draw_one in PICTURES.items():
        draw_one(found.get(name, []), os.path.join(folder, name + ".svg"))
