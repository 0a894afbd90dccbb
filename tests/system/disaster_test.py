"""Disks of a node and of the only manager that are lost: the lines of
docs/disaster.md, typed."""
import contextlib
import datetime
import os
import re
import shutil
import signal
import subprocess

import cell as cells
import hosts as rig
from head_cell import HeadCase
from hosts import wait_until

GUIDE = os.path.join(os.environ["REEVE_SOURCE"], "docs", "disaster.md")
# Of a system, and the day on which the guide was written.
NOT_TYPED = re.compile(r"apt-get |systemctl ")
WRITTEN_ON = "2026-11-26"


def lines_of(title):
    """The first lines to type below that title of the guide."""
    text = cells.read(GUIDE).split(f"\n## {title}\n")[1].split("\n## ")[0]
    block = re.search(r"(?m)(?:^    .*\n)+", text).group()
    return [line.strip() for line in block.splitlines()]


class DisasterTest(HeadCase):
    def setUp(self):
        super().setUp()
        self.backup = os.path.join(self.hosts.base, "backup")

    def type(self, host, lines, given=None):
        """What they say. Those after a prompt are for that host alone."""
        script = "\n".join(line for line in lines if not NOT_TYPED.match(line))
        for old, new in (("/var/lib/reeve", host.data),
                         ("/backup", self.backup),
                         (WRITTEN_ON, datetime.date.today().isoformat())):
            script = script.replace(old, new)
        done = subprocess.run(
            [*host.prefix, "sh", "-euc", script], text=True, input=given,
            capture_output=True, timeout=cells.PATIENCE_S, env={
                **host.environment(),
                "PATH": f"{host.bin}:{os.environ['PATH']}"})
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def lose_disk(self, host):
        """All that runs there ends, but the tasks of other hosts."""
        for pid in cells.processes_of(host.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(f"{host.name} is off",
                   lambda: not cells.processes_of(host.data))
        shutil.rmtree(host.data)

    def test_the_disk_of_a_node(self):
        node = self.join("n1")
        self.await_node("n1")
        one = self.head.submit("--on-node", "n1", "--", "sleep", "600")
        self.head.await_state(one, "running")
        self.lose_disk(node)
        self.await_node("n1", "lost")
        lines = [line.replace("s-7", one)
                 for line in lines_of("The disk of a node")]
        heads = [line.removeprefix("head# ") for line in lines
                 if line.startswith("head# ")]
        nodes = [line.removeprefix("n1# ") for line in lines
                 if line.startswith("n1# ")]
        self.assertEqual(len(lines), len(heads) + len(nodes))
        token = self.type(self.head, heads).splitlines()[-1]
        os.mkdir(node.data)
        self.type(node, nodes, given=token)
        self.await_node("n1")
        self.assertEqual("new\n", self.head.reeve(
            "run", "--on-node", "n1", "--", "echo", "new").out)

    def test_the_disk_of_the_only_manager(self):
        node = self.join("n1")
        self.await_node("n1")
        self.head.reeve("user", "set", "ann", "--uid", "12345")
        go_on = os.path.join(node.base, "go-on")
        kept = self.head.submit(
            "--on-node", "n1", "--", "sh", "-c",
            f"while [ ! -e {go_on} ]; do sleep 0.1; done; exit 7")
        task = self.head.await_state(kept, "running")["tasks"][0]["pid"]
        self.type(self.head, lines_of("What to keep"))
        later = self.head.submit("--on-node", "n1", "--", "sleep", "600")
        lost = self.head.await_state(later, "running")["tasks"][0]["pid"]
        self.lose_disk(self.head)
        self.type(self.head, lines_of("The disk of the only manager"))
        self.head.up()
        self.await_node("n1")
        # What the copy knows runs on, what only the lost log knew is stopped.
        self.assertEqual(task, self.head.await_state(
            kept, "running")["tasks"][0]["pid"])
        wait_until("what nobody knows is stopped",
                   lambda: not cells.is_running(lost))
        self.assertIn("ann", self.head.reeve("user", "list").out)
        open(go_on, "w", encoding="utf-8").close()
        self.assertEqual(7, self.head.await_state(
            kept, "failed")["tasks"][0]["exit_code"])
        # Its number is not given out again.
        self.assertNotEqual(later, self.head.submit("--", "true"))
        self.assertEqual(*self.head.digests())


if __name__ == "__main__":
    rig.main()
