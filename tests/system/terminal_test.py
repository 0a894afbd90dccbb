"""What a person's terminal gets: no line is wider than it, at any width, and
a reader that goes away early is no error, long work says how far it is. Where
there is no terminal, lines are whole."""
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading

import cell as cells
from cell import BIN, Cell, CellTest

WIDTHS = (40, 60, 80)
COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")


class TerminalTest(CellTest):
    UP = ("--sim-nodes", "2")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        long_name = "a-session-with-quite-a-long-name-for-what-it-does"
        cls.done = cls.cell.submit(
            "--name", long_name, "--label", "team=vision", "--", "sh", "-c",
            "echo a command that is long enough to need several lines; exit 3")
        cls.cell.reeve("wait", cls.done, code=3)
        cls.held = cls.cell.submit("--name", long_name, "--gpus", "8",
                                   "--tasks", "2", "--sim-duration", "1h")
        cls.cell.await_state(cls.held, "running")
        cls.waiting = cls.cell.submit("--name", long_name, "--gpus", "8",
                                      "--sim-duration", "1h")

    def at_terminal(self, width, *arguments, codes=(0, 1), stream="stdout",
                    **variables):
        """What the program writes to a terminal of that width; the other
        stream goes elsewhere."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, width, 0, 0))
        child = subprocess.Popen(
            [os.path.join(BIN, "reeve"), *arguments], cwd=self.cell.work,
            env={**self.cell.environment(), "NO_COLOR": "", "TERM": "xterm",
                 **variables}, stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               stream: theirs})
        os.close(theirs)
        pieces = []
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            pieces.append(piece)
        os.close(ours)
        rest = child.communicate(timeout=cells.PATIENCE_S)
        text = b"".join(pieces).decode().replace("\r\n", "\n")
        self.assertIn(child.returncode, codes, (text, rest))
        return COLOUR.sub("", text)

    def test_no_line_is_wider_than_the_terminal(self):
        commands = (
            ["ps", "--all"], ["nodes"], ["gpus"], ["status"], ["show",
            self.done], ["show", self.held], ["history", self.done],
            ["why", self.waiting], ["why", self.done], ["node", "show",
            "sim-0000"], ["log", "stats"], ["log", "cat"], ["state"],
            ["replay"], ["doctor"], ["bench"], ["diff", "1", "now"], ["help"],
            ["help", "submit"], ["help", "node"], ["node", "drain", "-h"])
        for width in WIDTHS:
            for command in commands:
                with self.subTest(width=width, command=command):
                    self.fits(width, self.at_terminal(width, *command))

    def fits(self, width, text):
        self.assertTrue(text.strip())
        for line in text.splitlines():
            self.assertLessEqual(len(line), width, text)

    def test_an_error_is_wrapped_at_a_terminal_alone(self):
        wrong = "submit", "--gpus", "1.5", "--", "true"
        whole = self.cell.reeve(*wrong, code=2).err
        self.assertEqual(1, whole.count("\n"))
        self.assertGreater(len(whole), max(WIDTHS))
        for width in WIDTHS:
            text = self.at_terminal(width, *wrong, codes=(2,), stream="stderr")
            self.fits(width, text)
            self.assertEqual(whole.split(), text.split())
        # A program reads this one, wherever it goes.
        text = self.at_terminal(40, "--json", *wrong, codes=(2,),
                                stream="stderr")
        self.assertEqual("usage", json.loads(text)["error"]["code"])

    def test_columns_is_the_width_of_terminal_and_pipe(self):
        for command in (["ps", "--all"], ["help"], ["log", "cat"]):
            with self.subTest(command=command):
                self.fits(40, self.at_terminal(80, *command, COLUMNS="40"))
                whole = self.cell.reeve(*command).out
                narrow = self.piped(*command, COLUMNS="40")
                self.fits(40, narrow)
                self.assertNotEqual(whole, narrow)
        whole = self.piped("help")
        for wrong in ("", "0", "-1", "wide"):
            self.assertEqual(whole, self.piped("help", COLUMNS=wrong))

    def piped(self, *arguments, **variables):
        return subprocess.run(
            [os.path.join(BIN, "reeve"), *arguments], check=True,
            env={**self.cell.environment(), **variables},
            capture_output=True, text=True, timeout=cells.PATIENCE_S).stdout

    def test_the_most_important_columns_stay(self):
        for width in WIDTHS:
            text = self.at_terminal(width, "ps", "--all")
            for word in ("ID", "STATE", "NAME", self.done, "failed"):
                self.assertIn(word, text)
            text = self.at_terminal(width, "nodes")
            for word in ("NAME", "STATE", "GPUS FREE", "sim-0000"):
                self.assertIn(word, text)
        narrow = self.at_terminal(40, "ps", "--all")
        self.assertNotIn("EACH TASK", narrow)
        self.assertNotIn("TASKS", narrow)

    def said(self, cell, *arguments, until, go_on, program=None):
        """What a program says to a terminal that nothing else of it goes to,
        and what it prints. `go_on` lets it end, once it has said `until`."""
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [program or os.path.join(BIN, "reeve"), *arguments],
            cwd=cell.work, env=cell.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=theirs, text=True)
        os.close(theirs)
        text = ""
        while select.select([ours], [], [], cells.PATIENCE_S)[0]:
            try:
                text += os.read(ours, 1 << 16).decode()
            except OSError:  # the other end is closed
                break
            if go_on and re.search(until, text):
                go_on()
                go_on = None
        else:
            child.kill()
        os.close(ours)
        out, _ = child.communicate(timeout=cells.PATIENCE_S)
        self.assertIsNone(go_on, text)
        self.assertEqual(0, child.returncode, text)
        return text, out

    def paused(self, cell):
        """Stops the daemon; returns what lets it go on."""
        pid = cell.daemon_pid()

        def go_on():
            if cells.is_running(pid):
                os.kill(pid, signal.SIGCONT)
        self.addCleanup(go_on)
        os.kill(pid, signal.SIGSTOP)
        return go_on

    def submissions(self):
        path = os.path.join(self.cell.work, "three.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"command": ["true"]}\n' * 3)
        return "submit", "--not-before", "+1h", "--file", path

    def test_a_file_that_is_submitted_shows_how_many_are_accepted(self):
        text, out = self.said(self.cell, *self.submissions(),
                              until="submitted 0 of 3, 1",
                              go_on=self.paused(self.cell))
        self.assertEqual(3, len(out.split()))
        # Nothing of it stays on the line.
        self.assertTrue(text.endswith("\r\x1b[K"), repr(text))

    def test_with_quiet_long_work_shows_nothing(self):
        go_on = self.paused(self.cell)
        timer = threading.Timer(2, go_on)
        timer.start()
        text, out = self.said(self.cell, *self.submissions(), "--quiet",
                              until="", go_on=None)
        timer.join()
        self.assertEqual("", text)
        self.assertEqual(3, len(out.split()))

    def test_down_shows_what_it_waits_for(self):
        cell = Cell()
        self.addCleanup(cell.remove)
        self.addCleanup(cell.stop)
        cell.up()
        text, _ = self.said(
            cell, "down", go_on=self.paused(cell),
            until=rf"ending: the daemon, pid {cell.daemon_pid()}, .*, 1")
        self.assertIn("is down", text)

    def test_a_trace_shows_that_it_is_replayed(self):
        programs = os.path.join(self.cell.base, "programs")
        gate = os.path.join(programs, "gate")
        os.makedirs(programs)
        shutil.copy(os.path.join(BIN, "reeve"), programs)
        script = os.path.join(programs, "reeve-log")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nwhile [ ! -e {gate} ]; do sleep 0.1; done\n"
                       f"exec {BIN}/reeve-log \"$@\"\n")
        os.chmod(script, 0o755)
        path = os.path.join(self.cell.work, "one.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"submit_at": 0, "duration": 1}, file)
        _, out = self.said(
            self.cell, "trace", "run", path, "--format", "reeve",
            "--compress", "0", program=os.path.join(programs, "reeve"),
            until=r"replaying \d+ events, 1",
            go_on=lambda: open(gate, "w", encoding="utf-8").close())
        self.assertTrue(json.loads(out)["digest_equal"])

    def test_a_pipe_keeps_whole_lines(self):
        self.assertIn("a-session-with-quite-a-long-name-for-what-it-does",
                      self.cell.reeve("ps", "--all").out)

    def test_a_reader_that_goes_away_is_no_error(self):
        for command in ("log cat", "ps --all", "events -f --from 1"):
            with self.subTest(command=command):
                done = subprocess.run(
                    ["bash", "-c", f"set -o pipefail; {BIN}/reeve {command} | "
                     "head -n 1"], env=self.cell.environment(),
                    capture_output=True, text=True, timeout=cells.PATIENCE_S,
                    check=False)
                self.assertIn(done.returncode, (0, 141), done.stderr)
                self.assertEqual("", done.stderr)
                self.assertEqual(1, len(done.stdout.splitlines()))


if __name__ == "__main__":
    sys.exit(cells.main())
