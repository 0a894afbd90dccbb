"""The guides (docs/install.md, upgrade.md, disaster.md), followed by an admin
on fresh Debian systems (fresh_hosts.py): the package is installed, a cell is
formed, a node joins, three managers lead it, one is killed, all are upgraded,
most are lost. One session runs through all of it. What was typed and what came
back is printed. Takes minutes and a mirror: `ctest -C long -R fresh_hosts`.
"""
import json
import os
import re
import sys
import time
import unittest

import cell as cells
import fresh_hosts
from cell import BIN, wait_until

SKIPPED = 77
HEAD = "/var/lib/reeve/cell.toml"
LISTEN = r"""sed -i 's/^# listen = .*:4222"/listen = "{}:4222"/' """ + HEAD
SEVERAL = r"""sed -i -e 's/^# name = "m1"/name = "m1"/' -e """ \
    r"""'s/^# members = .*/members = {{{}}}/' """ + HEAD
ALONE = "sed -i -e '/^name = \"m1\"/d' -e '/^members = /d' " + HEAD
# The session: a counter that nobody else could go on with.
COUNTER = "i=0; while sleep 0.2; do i=$((i+1)); echo $i; done"


class GuidesTest(unittest.TestCase):
    def setUp(self):
        self.hosts = fresh_hosts.FreshHosts(os.path.dirname(BIN))
        self.addCleanup(self.hosts.remove)
        self.addCleanup(self.hosts.stop)
        self.m1, self.n1, self.m2, self.m3 = (
            self.hosts.add_system(name) for name in ("m1", "n1", "m2", "m3"))
        self.managers = [self.m1, self.m2, self.m3]

    def type(self, host, line, **how):
        """As an admin; into the transcript."""
        out = host.run(line, **how)
        shown = re.sub(r"(reeve1:\w{8})\S+", r"\1...", out)
        print(f"{host.name}# {line}\n{shown}", end="", flush=True)
        return out

    def token(self, host, *words):
        told = self.type(host, f"reeve token create {' '.join(words)}")
        return next(line for line in told.splitlines()
                    if line.startswith("reeve1:"))

    def nothing_wrong(self, host, *but):
        """`but`: what this machine, not the system, lacks."""
        told = json.loads(host.run("reeve doctor --json", code=None))
        wrong = [one for one in told["findings"] if one["level"] == "wrong"
                 and one["subject"] not in but]
        self.assertEqual([], wrong)

    def answers(self, host):
        """`systemctl` returns a moment before it does."""
        wait_until("the cell answers", lambda: host.run(
            "reeve status", code=None).startswith("cell:"))

    def leader(self, of):
        def led():
            told = of.run("reeve status --json", code=None)
            status = json.loads(told) if told.startswith("{") else {}
            return status if status.get("role") == "leading" else None
        status = wait_until("a manager leads", led)
        return status["leader"], status["epoch"]

    def counted(self, of):
        """How far the session is; it has run without a break."""
        shown = json.loads(of.run(f"reeve show {self.session} --json"))
        self.assertEqual("running", shown["state"])
        self.assertEqual(self.pid, shown["tasks"][0]["pid"])
        return len(of.run(f"reeve logs {self.session}").splitlines())

    def goes_on(self, of):
        before = self.counted(of)
        wait_until("the session goes on", lambda: self.counted(of) > before)

    def test_the_guides_hold_on_fresh_systems(self):
        self.install()
        self.one_machine()
        self.a_node()
        self.three_managers()
        self.a_leader_is_killed()
        self.upgrade()
        self.most_are_lost()
        self.the_node_leaves()

    def install(self):
        package = os.path.basename(self.hosts.packages[0])
        for host in self.hosts.all:
            how = "" if host in self.managers else "--no-install-recommends "
            host.run(f"apt-get update && apt-get install -y {how}./{package}",
                     mirror_too=True)
            print(f"{host.name}# apt-get install {how}./{package}")
        self.assertNotIn("active", self.type(
            self.m1, "systemctl is-active reeved", code=None).split())

    def one_machine(self):
        m1 = self.m1
        self.type(m1, "install -d -m 700 /var/lib/reeve")
        self.type(m1, f"cp /usr/share/doc/reeve/cell.toml.sample {HEAD}")
        m1.run(f"reeve config check {HEAD}")
        self.type(m1, "systemctl enable --now reeved")
        self.answers(m1)
        self.assertEqual("m1\n", self.type(m1, "reeve run -- hostname"))
        self.nothing_wrong(m1, "cgroups", "open files")

    def a_node(self):
        m1, n1 = self.m1, self.n1
        self.type(m1, LISTEN.format(m1.address))
        self.type(m1, "systemctl restart reeved")
        self.answers(m1)
        token = self.token(m1, "--role agent --name n1")
        begun = time.monotonic()
        self.type(n1, "reeve join -", given=token + "\n")
        wait_until("the node is up", lambda: re.search(
            r"(?m)^n1 +up", m1.run("reeve nodes")))
        print(f"(the node was up {time.monotonic() - begun:.1f} s after)")
        self.assertEqual("", n1.run("ls /etc/systemd/system/reeved.service "
                                    "2>/dev/null", code=None))
        self.type(m1, "reeve nodes")
        self.nothing_wrong(n1, "cgroups", "open files")
        self.assertEqual("n1\n", self.type(
            m1, "reeve run --constraint node==n1 -- hostname"))
        self.session = self.type(
            m1, "reeve submit --name counter --constraint node==n1 -- "
            f"sh -c '{COUNTER}'").split()[0]
        shown = wait_until("it runs", lambda: next(
            (one for one in [json.loads(m1.run(
                f"reeve show {self.session} --json"))]
             if one["state"] == "running"), None))
        self.pid = shown["tasks"][0]["pid"]

    def three_managers(self):
        m1 = self.m1
        for host in self.managers:
            self.type(host, "/usr/share/reeve/packages cluster",
                      mirror_too=True)
        members = ", ".join(f'{host.name} = "{host.address}"'
                            for host in self.managers)
        self.type(m1, SEVERAL.format(members))
        self.type(m1, "systemctl restart reeved")
        wait_until("it waits for the others", lambda: "reeve1:" in m1.run(
            "reeve token create --role manager --name m2", code=None))
        for host in self.managers[1:]:
            token = self.token(m1, f"--role manager --name {host.name}")
            self.type(host, "reeve join -", given=token + "\n")
        self.leader(m1)
        wait_until("all follow", lambda: m1.run("reeve members").count(
            "following") == 2)
        self.type(m1, "reeve members")
        for host in self.managers:
            self.nothing_wrong(host, "cgroups", "open files")
        self.goes_on(m1)

    def named(self, name):
        return next(host for host in self.managers if host.name == name)

    def a_leader_is_killed(self):
        name, epoch = self.leader(self.m1)
        other = next(one for one in self.managers if one.name != name)
        self.type(self.named(name),
                  "systemctl kill --kill-whom=main --signal=KILL reeved")
        begun = time.monotonic()
        self.type(other, "reeve submit -- true")
        print(f"(acknowledged {time.monotonic() - begun:.1f} s after)")
        self.assertGreater(self.leader(other)[1], epoch)
        wait_until("all follow", lambda: other.run("reeve members").count(
            "following") == 2)
        self.type(other, "reeve members")
        self.goes_on(other)

    def upgrade(self):
        package = os.path.basename(self.hosts.packages[1])
        line = f"apt-get install -y ./{package}"
        name, _ = self.leader(self.m1)
        first = self.named(name)
        others = [one for one in self.managers if one is not first]
        for host in [*others, first, self.n1]:
            if host is first:
                self.type(first, f"reeve lead {others[0].name}")
            before = host.run("cat /var/lib/reeve/reeved.pid")
            host.run(line, mirror_too=True)
            print(f"{host.name}# apt-get install ./{package}")
            wait_until("the new daemon runs", lambda: host.run(
                "cat /var/lib/reeve/reeved.pid", code=None) != before)
            wait_until("all follow", lambda: others[0].run(
                "reeve members", code=None).count("following") == 2)
        self.type(first, "reeve log verify")
        self.goes_on(first)

    def most_are_lost(self):
        m1 = self.m1
        for host in self.managers[1:]:
            host.power_off()
        print("(m2 and m3 are switched off)")
        self.assertIn("majority", self.type(m1, "reeve submit -- true",
                                            code=None))
        for line in ("systemctl stop reeved",
                     "mkdir -m 700 /backup",
                     "reeve log verify --log /var/lib/reeve/log",
                     "reeve log export /backup/last.segment "
                     "--log /var/lib/reeve/log",
                     "mv /var/lib/reeve /var/lib/reeve.old",
                     "install -d -m 700 /var/lib/reeve",
                     "cp -a /var/lib/reeve.old/cell.toml "
                     "/var/lib/reeve.old/bus /var/lib/reeve",
                     "rm -r /var/lib/reeve/bus/jetstream",
                     ALONE,
                     "reeve log import /backup/last.segment "
                     "--log /var/lib/reeve/log",
                     "reeve log verify --log /var/lib/reeve/log",
                     "systemctl start reeved"):
            self.type(m1, line)
        self.answers(m1)
        wait_until("the node is back", lambda: re.search(
            r"(?m)^n1 +up", m1.run("reeve nodes", code=None)))
        wait_until("those that are gone are lost", lambda: m1.run(
            "reeve nodes", code=None).count(" lost ") == 2)
        for name in "m2", "m3":
            self.type(m1, f"reeve node remove {name}")
        self.type(m1, "reeve nodes")
        self.goes_on(m1)

    def the_node_leaves(self):
        m1, n1 = self.m1, self.n1
        self.assertIn("hold 1 session",
                      self.type(n1, "reeve leave", code=None))
        self.type(m1, f"reeve cancel {self.session}")
        wait_until("it has ended", lambda: self.session not in m1.run(
            "reeve ps"))
        self.type(n1, "reeve leave")
        self.assertEqual("inactive\n", n1.run("systemctl is-active reeved",
                                              code=None))
        self.assertNotIn("n1", m1.run("reeve nodes"))
        n1.run("apt-get purge -y reeve", mirror_too=True)
        self.assertIn("node", n1.run("ls /var/lib/reeve"))


if __name__ == "__main__":
    why = fresh_hosts.why_not()
    if cells.SLOWNESS > 1:
        why = "a package is made of a release build"
    if why:
        print(f"skipped: {why}")
        sys.exit(SKIPPED)
    sys.exit(cells.main())
