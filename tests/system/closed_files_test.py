"""Programs that are started without standard input, output or error."""
import os
import subprocess
import sys

import cell as cells
from cell import Cell, CellTest, wait_until


class ClosedFilesTest(CellTest):
    @classmethod
    def setUpClass(cls):
        cls.cell = Cell(cls.SETTINGS)

    def closed(self, redirections, program, *arguments, **how):
        """Started with these files closed, by a shell."""
        return subprocess.Popen(
            ["sh", "-c", f'exec "$0" "$@" {redirections}',
             os.path.join(self.cell.bin, program), *arguments],
            cwd=self.cell.work, env=self.cell.environment(), text=True,
            **how)

    def start(self, redirections):
        """The daemon; what the shell leaves open goes nowhere."""
        self.cell.reeve("down", code=None)
        child = self.closed(redirections, "reeved", "--data", self.cell.data,
                            stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)
        self.cell.started.append(child)
        wait_until("the daemon serves", lambda: self.cell.reeve(
            "status", code=None).code == 0)
        self.assertEqual(child.pid, self.cell.daemon_pid())
        self.cell.up()
        return child.pid

    def call(self, redirections, *arguments):
        child = self.closed(redirections, "reeve", *arguments,
                            stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = child.communicate(timeout=cells.PATIENCE_S)
        return child.returncode, out, err

    def test_a_daemon_writes_nothing_into_the_files_of_its_log(self):
        for redirections, closed in ((">&- 2>&-", "12"),
                                     ("<&- >&- 2>&-", "012")):
            with self.subTest(redirections):
                pid = self.start(redirections)
                for file in closed:
                    self.assertEqual("/dev/null",
                                     os.readlink(f"/proc/{pid}/fd/{file}"))
                for _ in range(3):
                    self.assertEqual("here\n", self.cell.reeve(
                        "run", "--", "echo", "here").out)
                live, replayed = self.cell.digests()
                self.assertEqual(live, replayed)
                self.cell.reeve("log", "verify")
                # A killed one leaves them as they are.
                self.cell.kill_daemon()
                log = os.path.join(self.cell.data, "log")
                for name in ("owner", "head.mark"):
                    with open(os.path.join(log, name), "rb") as file:
                        self.assertNotIn(b" info ", file.read(), name)
                self.cell.reeve("log", "verify")

    def test_a_command_tells_that_its_output_is_closed(self):
        self.cell.up()
        code, _, err = self.call(">&-", "submit", "--", "true")
        self.assertEqual((1, "reeve: cannot write the output: standard output "
                          "is closed\n"), (code, err))
        code, _, err = self.call(">&-", "log", "cat")
        self.assertEqual(1, code)
        self.assertIn("standard output is closed", err)
        code, _, err = self.call(">&-", "run", "--", "echo", "here")
        self.assertNotEqual(0, code)
        self.assertIn("standard output is closed", err)
        # What prints nothing needs none.
        self.assertEqual((0, "", ""), self.call(
            ">&-", "run", "--", "true"))
        self.assertEqual((0, "here\n"), self.call(
            "2>&-", "run", "--", "echo", "here")[:2])
        self.assertEqual((0, "here\n"), self.call(
            "<&- 2>&-", "run", "--", "echo", "here")[:2])
        wait_until("all have ended", lambda: not self.cell.reeve(
            "ps", "--json").json()["sessions"])


if __name__ == "__main__":
    sys.exit(cells.main())
