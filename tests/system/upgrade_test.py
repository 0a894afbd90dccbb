"""Programs of several releases in one cell, as an upgrade has them: those of
the neighbouring releases work together, others are told what to do. The other
releases are the programs of now that say they are of another one
(program_of_test.cpp); what real earlier ones said is in tests/traffic/."""
import base64
import json
import os
import re
import shutil
import tempfile

import cell as cells
import hosts as rig
from head_cell import HeadCase
from hosts import HostsCase, wait_until
from manager_cell import Managers, Submitting



def protocol(name):
    source = cells.read(os.path.join(os.environ["REEVE_SOURCE"], "cluster",
                                     "program.hpp"))
    return int(re.search(rf"{name} = (\d+);", source).group(1))


NUMBER, OLDEST = protocol("protocol_number"), protocol("protocol_oldest")
# A version, what it speaks, and the oldest that it understands.
BEFORE = ("0.0.7", OLDEST, OLDEST)
AFTER = ("7.1.0", NUMBER + 1, NUMBER)
PAST = ("0.0.3", OLDEST - 1, OLDEST - 1)
FUTURE = ("9.9.0", NUMBER + 2, NUMBER + 1)


class Programs:
    """A directory of programs that say what REEVE_TEST_PROGRAM does."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="reeve-programs-",
                                       dir="/var/tmp")
        other = os.path.join(os.environ["REEVE_TESTS"], "of_test")
        for base, names in ((other, ("reeve", "reeved")),
                            (cells.BIN, ("reeve-keeper", "reeve-log"))):
            for name in names:
                shutil.copy(os.path.join(base, name), self.folder)

    def install(self, host, release):
        """From its next call and daemon on. None: those of now."""
        self.back(host)
        if not release:
            return
        plain = host.environment
        words = " ".join(str(word) for word in release)
        host.bin = self.folder
        host.environment = lambda: {**plain(), "REEVE_TEST_PROGRAM": words}

    @staticmethod
    def back(host):
        host.bin = cells.BIN
        host.__dict__.pop("environment", None)

    def remove(self):
        shutil.rmtree(self.folder)


class UpgradeCase(HostsCase):
    def setUp(self):
        super().setUp()
        self.programs = Programs()
        self.version = ""

    def tearDown(self):
        for host in self.hosts.all:
            self.programs.back(host)
        super().tearDown()
        self.programs.remove()


class NodesTest(UpgradeCase, HeadCase):
    def setUp(self):
        super().setUp()
        self.version = self.head.reeve("--version").out.split()[1]

    def join(self, name, release=None):
        host = self.hosts.add(name)
        host.empty()
        self.programs.install(host, release)
        host.reeve("join", self.token("--role", "agent"), "--name", name)
        return host

    def restart(self, host, release):
        host.kill_daemon()
        self.programs.install(host, release)
        daemon = host.start_daemon()
        wait_until(f"the daemon of {host.name} is up",
                   lambda: host.daemon_pid() == daemon.pid)

    def node(self, name):
        return self.head.reeve("node", "show", name, "--json").json()

    def test_agents_of_the_neighbouring_releases_work(self):
        for name, release in (("n1", BEFORE), ("n2", AFTER)):
            self.join(name, release)
            node = self.await_node(name, "up")
            self.assertEqual(release[0], node["version"])
            self.assertEqual(release[1], node["protocol"])
            self.assertEqual("over there\n", self.head.reeve(
                "run", "--on-node", name, "--", "echo", "over there").out)
        table = self.head.reeve("nodes").out
        self.assertIn(AFTER[0], table)
        self.assertIn(f"{BEFORE[0]} (protocol {BEFORE[1]})",
                      self.head.reeve("node", "show", "n1").out)

    def test_an_upgraded_agent_keeps_its_sessions(self):
        node = self.join("n1", BEFORE)
        self.await_node("n1", "up")
        one = self.head.submit("--on-node", "n1", "--", "sh", "-c",
                               "sleep 4; echo done")
        pid = self.head.await_state(one, "running")["tasks"][0]["pid"]
        self.restart(node, None)
        wait_until("the new version is known",
                   lambda: self.node("n1")["version"] == self.version)
        self.assertTrue(cells.is_running(pid))
        self.head.reeve("wait", one)
        self.assertEqual("done\n", self.head.reeve("logs", one).out)
        self.assertEqual(1, self.head.show(one)["attempt"])

    def check_stranger(self, release, advice):
        node = self.join("n1")
        self.await_node("n1", "up")
        goes_on = self.head.submit("--on-node", "n1", "--", "sh", "-c",
                                   "sleep 5; echo done")
        self.head.await_state(goes_on, "running")
        self.restart(node, release)
        refused = self.await_node("n1", "draining", "drained")
        self.assertIn(f"agent n1 (reeve {release[0]})",
                      refused["drain_reason"])
        self.assertIn(advice, refused["drain_reason"])
        for shown in (self.head.reeve("nodes").out,
                      self.head.reeve("node", "show", "n1").out):
            self.assertIn(f"reeve {release[0]}", shown)
        wait_until("the node's own log says it", lambda: advice in cells.read(
            os.path.join(node.data, "reeved.log")))
        self.assertIn(advice, cells.read(os.path.join(self.head.data,
                                                      "reeved.log")))
        waits = self.head.submit("--on-node", "n1", "--", "true")
        self.assertEqual("running", self.head.show(goes_on)["state"])
        self.restart(node, None)
        self.await_node("n1", "up")
        for session in (goes_on, waits):
            self.head.reeve("wait", session)
        self.assertEqual("done\n", self.head.reeve("logs", goes_on).out)
        self.assertEqual(1, self.head.show(goes_on)["attempt"])
        live, replayed = self.head.digests()
        self.assertEqual(live, replayed)

    def test_an_agent_that_is_too_new_is_told_so(self):
        self.check_stranger(FUTURE, "Upgrade the managers first")

    def test_an_agent_that_is_too_old_is_told_so(self):
        self.check_stranger(PAST,
                            f"Install reeve {self.version} where it runs")

    def test_a_host_of_another_release_does_not_join(self):
        token = self.token("--role", "agent")
        for name, release, advice in (
                ("n1", FUTURE, "Upgrade the managers first"),
                ("n2", PAST, f"Install reeve {self.version}")):
            host = self.hosts.add(name)
            host.empty()
            self.programs.install(host, release)
            refused = host.reeve("join", token, "--name", name, code=None)
            self.assertNotEqual(0, refused.code)
            self.assertIn(f"this host (reeve {release[0]})", refused.err)
            self.assertIn(advice, refused.err)
            self.assertEqual([], os.listdir(host.data))
        # The token is as good as before.
        host = self.hosts.all[-1]
        self.programs.install(host, BEFORE)
        host.reeve("join", token, "--name", "n2")
        self.await_node("n2", "up")

    def test_a_token_of_another_release_says_whom_to_upgrade(self):
        text = self.token("--role", "agent").removeprefix("reeve1:")
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (
            -len(text) % 4)))
        self.assertEqual(self.version, token["version"])
        self.assertEqual(NUMBER, token["protocol"])
        host = self.hosts.add("n1")
        host.empty()
        for release, advice in (
                (FUTURE, f"Install reeve {FUTURE[0]} where it runs"),
                (PAST, "Upgrade the managers first")):
            token["version"], token["protocol"], token[
                "protocol_oldest"] = release
            changed = base64.urlsafe_b64encode(
                json.dumps(token).encode()).decode().rstrip("=")
            refused = host.reeve("join", "reeve1:" + changed, code=None)
            self.assertNotEqual(0, refused.code)
            self.assertIn(f"this host (reeve {self.version})", refused.err)
            self.assertIn(f"the managers (reeve {release[0]})", refused.err)
            self.assertIn(advice, refused.err)
            self.assertEqual([], os.listdir(host.data))

    def test_a_client_of_another_release_is_told_so(self):
        for release in (FUTURE, PAST):
            self.programs.install(self.head, release)
            for words in (("ps",), ("submit", "--", "true")):
                refused = self.head.reeve(*words, code=None)
                self.assertNotEqual(0, refused.code)
                self.assertIn("the program that asks", refused.err)
                self.assertIn(f"nstall reeve {self.version}", refused.err)
        self.programs.install(self.head, AFTER)
        self.head.reeve("wait", self.head.submit("--", "true"))
        self.assertEqual(1, len(self.head.reeve(
            "ps", "--all", "--json").json()["sessions"]))


class ManagersOfReleasesTest(Managers, UpgradeCase):
    """The order of docs/upgrade.md, on three managers."""

    def setUp(self):
        super().setUp()
        self.form()

    def await_program(self, name, release):
        """It stands by, or leads, with this program and the whole log."""
        def there():
            leader = self.leader()
            shown = self.states(leader)
            one = shown[name]
            return (one["version"] == release[0]
                    and one["protocol"] == release[1]
                    and one["state"] in ("following", "leading")
                    and one["head_seq"] >= shown[leader.name]["head_seq"] - 20)
        wait_until(f"{name} is {release}", there)

    def restart(self, host, release):
        host.kill_daemon()
        self.programs.install(host, release)
        daemon = host.start_daemon()
        wait_until(f"the daemon of {host.name} is up",
                   lambda: host.daemon_pid() == daemon.pid)

    def test_managers_are_upgraded_one_by_one_and_no_command_is_refused(self):
        leader = self.leader()
        standbys = [host for host in self.all if host is not leader]
        session = leader.submit("--", "sleep", "600")
        leader.await_state(session, "running")
        with Submitting([leader], pause=0.1) as work:
            for host in standbys:
                self.restart(host, AFTER)
                self.await_program(host.name, AFTER)
        self.assertEqual([], work.refused)
        with Submitting(standbys, pause=0.1) as work:
            leader.reeve("lead", standbys[0].name)
            wait_until("it leads", lambda: self.leader() is standbys[0])
            self.restart(leader, AFTER)
            self.await_program(leader.name, AFTER)
        self.assertEqual([], work.refused)
        self.assertEqual("running", standbys[0].show(session)["state"])
        self.assertEqual(1, standbys[0].show(session)["attempt"])
        standbys[0].reeve("cancel", session)

    def test_a_stranger_is_not_handed_the_lead_and_does_not_take_it(self):
        leader = self.leader()
        other, stranger = [host for host in self.all if host is not leader]
        # What the others write may mean what it does not know.
        self.restart(stranger, PAST)
        self.await_program(stranger.name, PAST)
        refused = leader.reeve("lead", stranger.name, code=None)
        self.assertNotEqual(0, refused.code)
        self.assertIn("do not understand each other", refused.err)
        leader.kill_daemon()
        wait_until("the other one leads", lambda: self.leader() is other)
        other.reeve("wait", other.submit("--on-node", other.name, "--", "true"))
        leader.up()
        self.restart(stranger, None)

    def test_the_older_of_two_says_that_it_leads_beside_a_newer_one(self):
        leader = self.leader()
        other, newer = [host for host in self.all if host is not leader]
        self.restart(newer, AFTER)
        self.await_program(newer.name, AFTER)
        self.restart(other, AFTER)
        self.await_program(other.name, AFTER)
        leader.reeve("lead", newer.name)
        wait_until("the newer one leads", lambda: self.leader() is newer)
        newer.reeve("lead", leader.name)
        wait_until("the older one leads", lambda: self.leader() is leader)
        wait_until("it says so", lambda: "which is newer than" in cells.read(
            os.path.join(leader.data, "reeved.log")))


if __name__ == "__main__":
    rig.main()
