"""The tour of README.md as a new user would type it: every line that starts
with "$ " in the code blocks of the section "tour", in one shell, in order.

A line is expected to succeed unless the next line of the same block is
"# exit code N". Session ids in the text are those of a fresh cell.
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


def tour():
    """(command, expected exit code) of each line."""
    section = re.search(r"^##+ [^\n]*\btour\b.*?(?=^## |\Z)",
                        cells.read(README), re.I | re.M | re.S)
    found = []
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```",
                        section.group(0) if section else "", re.M | re.S)
    for block in blocks:
        for line in block.splitlines():
            code = re.match(r"# exit code (\d+)$", line)
            if line.startswith("$ "):
                found.append([line[2:], 0])
            elif found and line.startswith("> "):
                found[-1][0] += "\n" + line[2:]
            elif found and code:
                found[-1][1] = int(code.group(1))
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
        commands = tour()
        self.assertGreater(len(commands), 5, "the tour was not found")
        if not any("reeve up" in command for command, _ in commands):
            self.cell.up()
        shell = subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=self.cell.work,
            env={**self.cell.environment(),
                 "PATH": f"{BIN}:{os.environ['PATH']}"})
        for number, (command, _) in enumerate(commands):
            # A program of the tour must not read the rest of it.
            shell.stdin.write(f"{{ {command}\n}} </dev/null\n"
                              f"echo \"@@@ {number} $?\"\n")
        out, _ = shell.communicate(timeout=5 * cells.PATIENCE_S)
        parts = re.split(r"^@@@ (\d+) (\d+)\n", out, flags=re.M)
        for (command, code), said, got in zip(commands, parts[::3],
                                              parts[2::3]):
            self.assertEqual(code, int(got), f"{command}\n{said}")
        self.assertEqual(len(commands), len(parts) // 3, out[-3000:])


if __name__ == "__main__":
    if not os.path.exists(README):
        print("skipped: there is no README.md")
        sys.exit(SKIPPED)
    sys.exit(cells.main())
