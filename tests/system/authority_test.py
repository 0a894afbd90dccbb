"""Who is of a cell of three managers: a node that was removed or leaves finds
out by all of their bus servers; and the authority and all keys are replaced as
docs/bus-security.md and docs/disaster.md have it, while a node works for it."""
import json
import os
import shutil
import signal
import subprocess
import time

import cell as cells
import hosts as rig
from hosts import wait_until
from manager_cell import ManagersCase

# refused_min of bus/removal.hpp.
REFUSED_S_MIN = 30
PARTS = ("ca.pem", "ca.key")


class AuthorityTest(ManagersCase):
    def form(self):
        super().form()
        self.node = self.joined("n1", ["--role", "agent"], "--name", "n1")
        self.await_node("n1")

    def running(self):
        leader = self.leader()
        one = leader.submit("--on-node", "n1", "--", "sleep", "600")
        pid = leader.await_state(one, "running")["tasks"][0]["pid"]
        return one, pid

    def restart(self, host):
        """As `systemctl restart`: the tasks and the bus server go on."""
        host.kill_daemon()
        host.up()

    def await_managers(self):
        def keep_up():
            states = self.states(self.leader()).values()
            return sorted(one["state"] for one in states if "state" in one
                          ) == ["following", "following", "leading"]
        wait_until("all managers keep up", keep_up)

    def restart_managers(self, and_buses):
        """One after the other, each when all of them keep up."""
        for host in self.all:
            self.restart(host)
            self.await_managers()
            if not and_buses:
                continue
            bus = host.bus_pid()
            os.kill(bus, signal.SIGKILL)
            wait_until("its bus server is back", lambda: bus != host.bus_pid()
                       and host.reeve("status", code=None).code == 0)
            self.await_managers()

    def file(self, host, name):
        return os.path.join(host.data, "bus", name)

    def put(self, host, name, text):
        with open(self.file(host, name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file(host, name), 0o600)

    def trust(self, text):
        """The node gets another ca.pem."""
        kept = json.loads(cells.read(self.file(self.node, "agent.json")))
        self.put(self.node, "agent.json", json.dumps({**kept, "ca": text}))
        self.restart(self.node)

    def make_authority(self):
        names = [os.path.join(self.hosts.base, name)
                 for name in ("new.pem", "new.key")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
             "/O=Reeve authority/CN=main", "-keyout", names[1], "-out",
             names[0]], check=True, capture_output=True)
        return [cells.read(name) for name in names]

    def check(self, one, pid):
        self.await_node("n1")
        self.assertTrue(cells.is_running(pid))
        self.assertEqual("running", self.leader().show(one)["state"])
        for host in self.all:
            host.submit("--", "true")

    def test_the_authority_is_replaced_in_three_steps(self):
        one, pid = self.running()
        first = self.all[0]
        old = [cells.read(self.file(first, name)) for name in PARTS]
        new = self.make_authority()
        for authorities in ((old, new), (new, old), (new,)):
            texts = ["".join(both) for both in zip(*authorities)]
            if len(authorities) == 1:
                self.trust(texts[0])
            for host in self.all:
                for name, text in zip(PARTS, texts):
                    self.put(host, name, text)
            # A bus server that begins anew with a certificate of the new one
            # is taken by those that run since before.
            self.restart_managers(and_buses=authorities == (new, old))
            if authorities[0] is old:
                self.trust(texts[0])
            self.check(one, pid)
        self.await_equal_logs()

    def test_a_node_that_leaves_is_gone_at_once_with_its_tasks(self):
        pid = self.running()[1]
        keeper, daemon = self.node.keeper_pid(), self.node.daemon_pid()
        self.node.reeve("leave", "--force")
        for one in (pid, keeper, daemon):
            self.assertFalse(cells.is_running(one))

    def test_a_removed_node_believes_all_servers_after_a_while(self):
        pid = self.running()[1]
        keeper, daemon = self.node.keeper_pid(), self.node.daemon_pid()
        begun = time.monotonic()
        self.leader().reeve("members", "remove", "agent-n1")
        wait_until("the daemon ends", lambda: not cells.is_running(daemon))
        self.assertGreater(time.monotonic() - begun, REFUSED_S_MIN)
        for one in (pid, keeper):
            self.assertFalse(cells.is_running(one))
        self.assertIn("it was removed", self.node.last_words())

    def test_all_keys_are_made_anew(self):
        one, pid = self.running()
        for host in self.all:
            host.reeve("down")
        for host in self.all:
            stolen = os.path.join(host.base, "bus.stolen")
            shutil.move(os.path.join(host.data, "bus"), stolen)
            os.mkdir(os.path.join(host.data, "bus"), 0o700)
            shutil.move(os.path.join(stolen, "jetstream"),
                        self.file(host, "jetstream"))
        first = self.all[0]
        children = [first.start("up", "--detach")]
        wait_until("the first one has an authority",
                   lambda: all(cells.read(self.file(first, name))
                               for name in PARTS) and first.bus_pid())
        for host in self.all[1:]:
            for name in PARTS:
                self.put(host, name, cells.read(self.file(first, name)))
            children.append(host.start("up", "--detach"))
        for host, child in zip(self.all, children):
            self.assertEqual(0, host.finish(child).code, host.last_words())
        self.leader()
        self.trust(cells.read(self.file(first, "ca.pem")))
        self.check(one, pid)
        self.await_equal_logs()


if __name__ == "__main__":
    rig.main()
