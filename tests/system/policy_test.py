"""Each order, backfill, packing and preemption as an admin sets it on a running
cell: who starts when, and where."""
import sys
import time

import cell as cells
from cell import CellTest, wait_until


class PolicyTest(CellTest):
    """Two simulated nodes of 4 CPUs and 2 GPUs in a group of their own."""
    SETTINGS = "[agent]\nenabled = false\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cell.reeve("group", "set", "g")
        cls.cell.up_with_nodes("sn,cpu_milli,memory_mib,gpu,model,group\n"
                               "n0,4000,8192,2,A100,g\n"
                               "n1,4000,8192,2,A100,g\n")
        for project in "used", "fresh":
            cls.cell.reeve("project", "set", project)

    def policy(self, text):
        self.cell.reeve("group", "set", "g", "--policy", text)

    def sim(self, *options, lasts="10ms"):
        return self.cell.submit("--group", "g", "--sim-duration", lasts,
                                *options)

    def fill(self, node, *options):
        """Holds a whole node until it is cancelled."""
        session = self.sim("--cpus", "4", "--gpus", "2", "--on-node", node,
                           *options, lasts="1h")
        self.cell.await_state(session, "running")
        return session

    def order(self, sessions):
        """In which they were placed, after all of them have ended."""
        shown = [self.cell.await_state(one, "succeeded") for one in sessions]
        return [sessions.index(one["session_id"]) for one in
                sorted(shown, key=lambda one: one["placed_at"])]

    def one_by_one(self, policy, requests):
        """The order in which they go through one node."""
        self.policy(policy)
        self.cell.reeve("node", "drain", "n1")
        first = self.fill("n0")
        sessions = [self.sim("--cpus", "4", *one) for one in requests]
        self.cell.reeve("cancel", first)
        order = self.order(sessions)
        self.cell.reeve("node", "resume", "n1")
        return order

    def waits(self, session):
        self.cell.reeve("status")
        return self.cell.show(session)["state"] == "pending"

    def test_orders(self):
        length = [["--time", f"{hours}h"] for hours in (3, 1, 2)]
        for policy, requests, expected in [
                ("fifo", length, [0, 1, 2]),
                ("lifo", length, [2, 1, 0]),
                ("sjf", length, [1, 2, 0]),
                ("fifo", [["--priority", str(n)] for n in (0, 2, 1)],
                 [1, 2, 0]),
                ("multifactor,size_weight=100",
                 [["--gpus", str(n)] for n in (0, 2, 1)], [1, 2, 0])]:
            with self.subTest(policy=policy):
                self.assertEqual(expected, self.one_by_one(policy, requests))

    def test_fair_share_puts_the_project_that_used_less_first(self):
        used = self.fill("n1", "--project", "used")
        self.cell.reeve("cancel", used)
        self.cell.await_state(used, "cancelled")
        self.assertEqual([1, 0], self.one_by_one(
            "fair_share", [["--project", "used"], ["--project", "fresh"]]))

    def running(self, user):
        return self.cell.reeve("ps", "--user", user, "--state", "running",
                               "--json").json()["sessions"]

    def of(self, user, *options):
        """A quarter of the group's CPUs, until it is cancelled."""
        return self.sim("--user", user, "--cpus", "2", *options, lasts="1h")

    def dry(self, *options):
        return self.cell.reeve("submit", "--group", "g", "--sim-duration",
                               "1h", "--dry-run", *options)

    def await_room(self, *options):
        """Who would go has run for long enough."""
        wait_until("others would go at once", lambda: (
            "would be told to end at once" in self.dry(*options).out))

    def end_all_of(self, *users):
        for user in users:
            rows = self.cell.reeve("ps", "--user", user,
                                   "--json").json()["sessions"]
            ids = [row["session_id"] for row in rows]
            if ids:
                self.cell.reeve("cancel", *ids, code=None)
            for one in ids:
                self.cell.await_state(one, "cancelled")

    def shares_after(self, user):
        """How many run of ann and bob after the first of one has ended and
        another took its place."""
        self.cell.reeve("cancel", self.running(user)[0]["session_id"])
        return wait_until("four run", lambda: (
            lambda ann, bob: (ann, bob) if ann + bob == 4 else None)(
                len(self.running("ann")), len(self.running("bob"))))

    def test_drf_moves_two_users_to_equal_dominant_shares(self):
        """Ann's sessions want CPUs alone, bob's GPUs too; each is a quarter
        of what there is. All of ann's came first."""
        self.policy("drf")
        self.addCleanup(self.end_all_of, "ann", "bob")
        for _ in range(8):
            self.of("ann")
        wait_until("four run", lambda: len(self.running("ann")) == 4)
        for _ in range(4):
            self.of("bob", "--gpus", "1")
        self.assertEqual((3, 1), self.shares_after("ann"))
        self.assertEqual((2, 2), self.shares_after("ann"))
        # There they stay, whoever's ends.
        for user in "ann", "bob", "bob", "ann":
            self.assertEqual((2, 2), self.shares_after(user))
        waiting = self.of("bob", "--gpus", "1")
        self.assertIn("dominant_share 0.5",
                      self.cell.reeve("why", waiting).out)

    def test_fair_preemption_makes_room_for_the_poorer_user(self):
        self.policy("drf,preemption=fair,preempt_after=1s")
        self.addCleanup(self.end_all_of, "ann", "bob")
        for _ in range(4):
            self.of("ann")
        wait_until("four run", lambda: len(self.running("ann")) == 4)
        ids = {row["session_id"] for row in self.running("ann")}
        bobs = ("--user", "bob", "--cpus", "2")
        self.await_room(*bobs)
        time.sleep(1)  # now each of them has run for long enough
        said = self.dry(*bobs, "--json").json()
        self.assertEqual(0, said["starting"])
        self.assertEqual(1, len(said["makes_room"]))
        first = self.of("bob")
        self.cell.await_state(first, "running")
        wait_until("one of ann's waits again",
                   lambda: len(self.running("ann")) == 3)
        gone = ids - {row["session_id"] for row in self.running("ann")}
        self.assertEqual({f"s-{said['makes_room'][0]}"}, gone)
        # Two and two would be equal shares: nobody goes for it.
        second = self.of("bob")
        self.assertTrue(self.waits(second))
        self.assertNotIn("to make room", self.dry(*bobs).out)

    def test_a_dry_run_says_who_makes_room(self):
        self.policy("preemption=priority,preempt_after=1s")
        low = [self.fill("n0"), self.fill("n1", "--priority", "3")]

        whole = ("--cpus", "4", "--priority")
        self.assertNotIn("to make room", self.dry(*whole, "0").out)
        self.await_room(*whole, "5")
        self.assertIn(f"to make room for it, {low[0]} would be told to end",
                      self.dry(*whole, "5").out)
        high = self.sim("--cpus", "4", "--priority", "5", lasts="1h")
        self.cell.await_state(high, "running")
        self.assertEqual("pending", self.cell.show(low[0])["state"])
        self.cell.reeve("cancel", high, *low)
        for one in (high, *low):
            self.cell.await_state(one, "cancelled")

    def test_drf_tells_what_share_the_user_holds(self):
        self.policy("drf")
        half = self.fill("n1")
        late = self.sim("--gpus", "2", "--tasks", "2", "--nodes", "2")
        self.assertIn("dominant_share 0.5", self.cell.reeve("why", late).out)
        self.cell.reeve("cancel", half)
        self.cell.await_state(late, "succeeded")

    def passes(self, policy):
        """Whether a short and a long one pass a head that needs both nodes
        while one of them is busy for an hour."""
        self.policy(policy)
        busy = self.sim("--cpus", "4", "--on-node", "n0", "--time", "1h",
                        lasts="1h")
        self.cell.await_state(busy, "running")
        head = self.sim("--cpus", "4", "--tasks", "2", "--nodes", "2",
                        "--time", "1h")
        short = self.sim("--cpus", "4", "--time", "30m")
        short_waits = self.waits(short)
        if not short_waits:
            self.cell.await_state(short, "succeeded")
        long = self.sim("--cpus", "4", "--time", "2h")
        long_waits = self.waits(long)
        why = self.cell.reeve("why", head).out
        self.cell.reeve("cancel", busy, head, short, long, code=None)
        for one in busy, head, short, long:
            self.cell.await_state(one, "cancelled", "succeeded")
        return not short_waits, not long_waits, why

    def test_backfill(self):
        for policy, expected in [("fifo,none", (False, False)),
                                 ("fifo,greedy", (True, True)),
                                 ("fifo,easy", (True, False)),
                                 ("fifo,conservative", (True, False))]:
            with self.subTest(policy=policy):
                short, long, why = self.passes(policy)
                self.assertEqual(expected, (short, long))
                self.assertIn("expected start", why)

    def places(self, policy, count):
        self.policy(policy)
        sessions = [self.sim("--gpus", "1", lasts="1h") for _ in range(count)]
        nodes = [self.cell.await_state(one, "running")["tasks"][0]["node"]
                 for one in sessions]
        self.cell.reeve("cancel", *sessions)
        for one in sessions:
            self.cell.await_state(one, "cancelled")
        return nodes

    def test_packing(self):
        for packing in "best_fit", "pack", "fragmentation":
            with self.subTest(packing=packing):
                self.assertEqual(1, len(set(self.places(packing, 2))))
        self.assertEqual(2, len(set(self.places("spread", 2))))

    def test_preemption(self):
        for policy, makes_room in [("preempt_after=1s", False),
                                   ("preemption=priority,preempt_after=1s",
                                    True)]:
            with self.subTest(policy=policy):
                self.policy(policy)
                low = [self.fill("n0"), self.fill("n1")]
                high = self.sim("--cpus", "4", "--priority", "5", lasts="1h")
                if makes_room:
                    self.cell.await_state(high, "running")
                    wait_until("one of them waits again", lambda: sum(
                        self.cell.show(one)["state"] == "pending"
                        for one in low) == 1)
                else:
                    self.assertTrue(self.waits(high))
                self.cell.reeve("cancel", high, *low)
                for one in (high, *low):
                    self.cell.await_state(one, "cancelled")


if __name__ == "__main__":
    sys.exit(cells.main())
