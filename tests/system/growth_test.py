"""A cell that runs gets more managers, and others in the place of those that
are lost: real processes in network namespaces, while a client submits."""
import os
import re
import shutil
import signal
import time

import cell as cells
import hosts as rig
from hosts import wait_until
from manager_cell import ManagersCase, Submitting

FIRST = f"""[manager]
name = "m1"
members = {{m1 = "{rig.NETWORK}.1"}}
"""


# From the word to the end of a manager, whatever it waits for.
END_S_MAX = 10 * cells.SLOWNESS


class GrowthTest(ManagersCase):
    def form(self):
        self.first = self.hosts.add("m1", FIRST)
        self.all = [self.first]
        self.first.up()

    def token(self, name):
        return self.first.reeve("token", "create", "--role", "manager",
                                "--name", name).out.strip()

    def join(self, name):
        host = self.hosts.add(name)
        host.empty()
        host.reeve("join", self.token(name))
        self.all.append(host)
        return host

    def roles(self):
        done = self.first.reeve("members", "--json", code=None)
        return {} if done.code != 0 else {
            one["principal"]: one["state"] for one in done.json()
            if one["role"] == "manager" and "state" in one}

    def await_managers(self, *names):
        def there():
            states = self.roles()
            return sorted(states) == sorted(names) and sorted(
                states.values()) == ["following"] * (len(names) - 1) + [
                    "leading"]
        wait_until(f"{', '.join(names)} are the managers", there)

    def await_copies(self, count):
        """The leader says so when the bus servers have agreed: what was said
        last holds."""
        words = "each commit is kept by {} bus servers"
        pattern = re.compile("(?m)^.*" + words.format("[0-9]") + ".*$")

        def said_last():
            # They begin with the time.
            return max((line for host in self.all for line in pattern.findall(
                cells.read(os.path.join(host.data, "reeved.log")))),
                default="")
        wait_until(words.format(count),
                   lambda: words.format(count) in said_last())

    def check(self, work):
        self.assertEqual([], work.refused)
        self.check_ledger(work.acknowledged)
        self.await_equal_logs()

    def grow_to(self, count):
        for number in range(len(self.all) + 1, count + 1):
            self.join(f"m{number}")
            self.await_managers(*(host.name for host in self.all))

    def test_one_manager_becomes_three_and_three_become_five(self):
        with Submitting([self.first]) as work:
            wait_until("some are acknowledged",
                       lambda: len(work.acknowledged) > 5)
            self.grow_to(3)
            self.await_copies(3)
            self.grow_to(4)
            said = self.first.reeve("members").out
            self.assertIn("3 of 4 managers are needed", said)
            self.grow_to(5)
            self.await_copies(5)
            grown = time.monotonic()
            wait_until("one is acknowledged after that",
                       lambda: work.times[-1] > grown)
        self.check(work)
        # Of five two may fail.
        self.end_hard(*self.all[3:])
        done = wait_until("commands are taken", lambda: self.first.reeve(
            "submit", "--", "true", code=None).out.strip())
        self.first.await_state(done, "succeeded")
        for host in self.all[3:]:
            host.up()
        self.await_equal_logs()

    def test_a_manager_whose_disk_is_lost_is_replaced(self):
        self.grow_to(3)
        self.await_copies(3)
        lost = self.all.pop()
        with Submitting([self.first]) as work:
            wait_until("some are acknowledged",
                       lambda: len(work.acknowledged) > 5)
            self.end_hard(lost)
            for pid in cells.processes_of(lost.data):
                os.kill(pid, signal.SIGKILL)
            for name in os.listdir(lost.data):
                path = os.path.join(lost.data, name)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)
            # Of m1 and m3, which would be left, m3 does not live.
            wait_until("m3 is silent",
                       lambda: self.roles()["m3"].startswith("silent"))
            refused = self.first.reeve("members", "remove", "m2", code=None)
            self.assertNotEqual(0, refused.code)
            self.assertIn("2 of them are needed", refused.err)
            said = self.first.reeve("members", "remove", "m3", "--reason",
                                    "its disk is lost")
            self.assertIn("2 of 2 managers are needed", said.err)
            self.await_managers("m1", "m2")
            lost.reeve("join", self.token("m3"))
            self.all.append(lost)
            self.await_managers("m1", "m2", "m3")
            joined = time.monotonic()
            wait_until("one is acknowledged after that",
                       lambda: work.times[-1] > joined)
        self.check(work)
        self.await_copies(3)
        # The new one counts: another may fail.
        other = self.all[1]
        self.end_hard(other)
        done = wait_until("commands are taken", lambda: self.first.reeve(
            "submit", "--", "true", code=None).out.strip())
        self.first.await_state(done, "succeeded")
        other.up()
        self.await_equal_logs()

    def test_a_manager_ends_while_it_copies_from_a_silent_leader(self):
        before = [self.first.submit("--", "true") for _ in range(3)]
        self.grow_to(3)
        self.await_copies(3)
        late = self.all[2]
        late.reeve("down")
        # The stream does not have what the first one kept alone.
        shutil.rmtree(os.path.join(late.data, "log"))
        silent = [host.daemon_pid() for host in self.all[:2]]
        for pid in silent:
            os.kill(pid, signal.SIGSTOP)
            self.addCleanup(os.kill, pid, signal.SIGCONT)
        child = late.start("up", "--detach")
        wait_until("it has asked for the rest", lambda: "no leader gives them"
                   in late.last_words())
        begun = time.monotonic()
        late.reeve("down")
        print(f"ended after {time.monotonic() - begun:.2f} s")
        self.assertLess(time.monotonic() - begun, END_S_MAX)
        late.finish(child)
        for pid in silent:
            os.kill(pid, signal.SIGCONT)
        late.up()
        self.check_ledger(before)
        self.await_equal_logs()

    def test_a_manager_has_the_name_of_its_token(self):
        host = self.hosts.add("m2")
        host.empty()
        token = self.token("m2")
        for option, value in (("--name", "zz"), ("--group", "default"),
                              ("--label", "rack=r1")):
            done = host.reeve("join", token, option, value, code=2)
            self.assertIn(f"{option} is not for this token", done.err)
        host.reeve("join", token, "--name", "m2")
        self.all.append(host)
        self.await_managers("m1", "m2")

    def join_as(self, name, role, *words):
        host = self.hosts.add(name)
        host.empty()
        host.reeve("join", self.first.reeve(
            "token", "create", "--role", role, "--name", *words).out.strip())
        return host

    def test_who_joined_the_first_manager_goes_on_without_it(self):
        self.first.reeve("user", "set", "ann", "--uid", "12345")
        node = self.join_as("n1", "agent", "n1")
        desk = self.join_as("desk", "user", "ann")
        runs = desk.submit("--on-node", "n1", "--", "sleep", "600")
        task = desk.await_state(runs, "running")["tasks"][0]["pid"]
        self.grow_to(3)
        self.await_copies(3)
        # Told with a leader's first list; a user's host asks now and then.
        self.first.reeve("lead", "m2")
        told = os.path.join(node.data, "bus", "agent.servers")
        wait_until("the node knows them", lambda: all(
            f"//{host.address}:" in cells.read(told) for host in self.all))
        os.utime(os.path.join(desk.data, "bus", "client.servers"), (0, 0))
        desk.reeve("ps")
        # Its whole host is gone.
        self.end_hard(self.first)
        self.first.cut()
        rest = self.all[1:]
        self.leader(of=rest)
        # On a busy machine the node may take longer to the next server than
        # until it counts as lost.
        self.assertEqual("there\n", desk.reeve(
            "run", "--requeue", "2", "--on-node", "n1", "--",
            "echo", "there").out)
        # It begins with the server that answered, not with the gone one.
        begun = time.monotonic()
        desk.reeve("ps")
        self.assertLess(time.monotonic() - begun, 3 * cells.SLOWNESS)
        self.assertEqual(task, desk.await_state(
            runs, "running")["tasks"][0]["pid"])
        self.assertTrue(cells.is_running(task))
        desk.reeve("cancel", runs)
        desk.await_state(runs, "cancelled")
        self.first.heal()

    def test_a_manager_that_is_removed_while_it_lives_ends(self):
        self.grow_to(3)
        self.await_copies(3)
        gone = self.all.pop()
        pid, bus = gone.daemon_pid(), gone.bus_pid()
        self.first.reeve("members", "remove", "m3")
        wait_until("it ends", lambda: not cells.is_running(pid))
        wait_until("its bus server ends", lambda: not cells.is_running(bus))
        self.await_managers("m1", "m2")
        done = self.first.submit("--", "true")
        self.first.await_state(done, "succeeded")
        self.await_equal_logs()


if __name__ == "__main__":
    rig.main()
