"""The tour of README.md as a new user would type it: every line that starts
with "$ " in the code blocks of the section "tour", in one shell, in order.

A line is expected to succeed unless the next line of the same block is
"# exit code N". Session ids in the text are those of a fresh cell. What is
shown below a line has the titles and the heads of tables that it prints.
"""
import os
import re
import subprocess
import sys
import unittest

import cell as cells
from cell import BIN, Cell

README = os.path.join(os.environ["REEVE_SOURCE"], "README.md")
SKIPPED = 77
TITLE = re.compile(r"([A-Za-z][A-Za-z /]*):(?:  |$)")
# Tables about the GPUs of the host itself, which has none in the tour.
OF_OWN_GPUS = {"GPU IN QUARANTINE", "LAST TEST"}


def tour(text):
    """[command, expected exit code, what is shown] of each line."""
    section = re.search(r"^##+ [^\n]*\btour\b.*?(?=^## |\Z)",
                        text, re.I | re.M | re.S)
    found = []
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```",
                        section.group(0) if section else "", re.M | re.S)
    for block in blocks:
        for line in block.splitlines():
            code = re.match(r"# exit code (\d+)$", line)
            if line.startswith("$ "):
                found.append([line[2:], 0, ""])
            elif found and line.startswith("> ") and not found[-1][2]:
                found[-1][0] += "\n" + line[2:]
            elif found and code:
                found[-1][1] = int(code.group(1))
            elif found:
                found[-1][2] += line + "\n"
    return found


def titles(text):
    """What stands before a colon and a gap, and the heads of tables."""
    found = []
    for line in text.splitlines():
        title = TITLE.match(line)
        columns = re.split(" {2,}", line.strip())
        if title:
            found.append(title.group(1))
        elif len(columns) > 1 and not OF_OWN_GPUS.intersection(columns) and \
                all(re.fullmatch("[A-Z ]+", column.replace("GiB", "GIB"))
                    for column in columns):
            found.append(columns)
    return found


class TourTest(unittest.TestCase):
    def setUp(self):
        self.cell = Cell()
        os.unlink(os.path.join(self.cell.data, "cell.toml"))

    def tearDown(self):
        words = self.cell.last_words()
        left = self.cell.stop()
        self.assertEqual([], left, words)
        self.cell.remove()

    def test_every_line_of_the_tour_works_as_written(self):
        commands = tour(cells.read(README))
        self.assertGreater(len(commands), 5, "the tour was not found")
        if not any("reeve up" in command for command, *_ in commands):
            self.cell.up()
        shell = subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=self.cell.work,
            env={**self.cell.environment(),
                 "PATH": f"{BIN}:{os.environ['PATH']}"})
        for number, (command, *_) in enumerate(commands):
            # A program of the tour must not read the rest of it.
            shell.stdin.write(f"{{ {command}\n}} </dev/null\n"
                              f"echo \"@@@ {number} $?\"\n")
        out, _ = shell.communicate(timeout=5 * cells.PATIENCE_S)
        parts = re.split(r"^@@@ (\d+) (\d+)\n", out, flags=re.M)
        for (command, code, shown), said, got in zip(commands, parts[::3],
                                                     parts[2::3]):
            self.assertEqual(code, int(got), f"{command}\n{said}")
            # On a slow machine all of it may have ended before it is listed.
            if command != "reeve ps" or "no session waits" not in said:
                self.assertEqual(titles(shown), titles(said), command)
        self.assertEqual(len(commands), len(parts) // 3, out[-3000:])

    def test_what_is_shown_has_titles(self):
        """A look at the page that finds none would compare nothing."""
        found = [title for _, _, shown in tour(cells.read(README))
                 for title in titles(shown)]
        for title in ("daemon", "grace", "submit to placed",
                      ["NODE", "DRAINED BECAUSE"], ["KIND", "EVENTS", "BYTES",
                                                    "EACH"],
                      ["AS IT WAS", "WHAT IF", "CHANGE"]):
            self.assertIn(title, found)


if __name__ == "__main__":
    if not os.path.exists(README):
        print("skipped: there is no README.md")
        sys.exit(SKIPPED)
    sys.exit(cells.main())
