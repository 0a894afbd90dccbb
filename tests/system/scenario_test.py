"""Five minutes of scenarios over several hosts (scenarios.py), and the plans
that they are drawn from. REEVE_SEED=N begins with seed N; scenarios.py runs
many.
"""
import collections
import itertools
import os
import unittest

import scenarios
from scenario_faults import (DATA_BACK_S, KINDS, kinds_for, kinds_for_desks,
                             plan, steps)

SEED = int(os.environ.get("REEVE_SEED", "1"))
SECONDS = 60
AGENTS = 4
MANAGERS = ["m1", "m2", "m3"]
NODES = ["n1", "n2"]
DESKS = ["d1", "d2"]


class PlanTest(unittest.TestCase):
    def plans(self, count=60):
        return [plan(seed, SECONDS, MANAGERS, NODES, desks=DESKS)
                for seed in range(count)]

    def test_a_seed_gives_one_plan_and_another_another(self):
        self.assertEqual(plan(5, SECONDS, MANAGERS, NODES),
                         plan(5, SECONDS, MANAGERS, NODES))
        self.assertNotEqual(plan(5, SECONDS, MANAGERS, NODES),
                            plan(6, SECONDS, MANAGERS, NODES))

    def test_desks_change_nothing_for_others_and_lose_links_alone(self):
        drawn = set()
        for seed, faults in enumerate(self.plans()):
            self.assertEqual(
                plan(seed, SECONDS, MANAGERS, NODES),
                [one for one in faults if one.host not in DESKS])
            drawn |= {one.kind for one in faults if one.host in DESKS}
        self.assertEqual(set(kinds_for_desks(KINDS)) & set(
            kinds_for(len(MANAGERS))), drawn)

    def test_every_fault_that_can_happen_here_does(self):
        drawn = {one.kind for faults in self.plans() for one in faults}
        self.assertEqual(set(kinds_for(len(MANAGERS))) - {"quiet"}, drawn)

    def test_a_host_has_one_fault_of_a_lane_at_a_time(self):
        for faults in self.plans():
            until = collections.Counter()
            for one in faults:
                lane = one.host, KINDS[one.kind].lane
                self.assertLessEqual(until[lane], one.at)
                until[lane] = one.until

    def test_what_begins_ends_in_time_and_only_then(self):
        for faults in self.plans():
            open_now = set()
            for when, begins, fault in steps(faults):
                self.assertLessEqual(when, SECONDS)
                if not begins:
                    open_now.remove(fault)
                elif fault.lasts():
                    open_now.add(fault)
            self.assertEqual(set(), open_now)

    def test_the_data_of_most_bus_servers_is_never_lost_at_once(self):
        for faults in self.plans():
            lost = [one for one in faults
                    if one.kind == "data of bus server lost"]
            for one, other in itertools.combinations(lost, 2):
                self.assertTrue(one.host == other.host or
                                other.at - one.at > DATA_BACK_S)

    def test_what_happens_alone_happens_alone(self):
        for faults in self.plans():
            for one in faults:
                if KINDS[one.kind].alone:
                    others = [other for other in faults if other is not one and
                              other.at < one.until and other.until > one.at]
                    self.assertEqual([], others)


class ScenarioTest(unittest.TestCase):
    """What was acknowledged is kept, and done once."""

    def test_one_manager_first(self):
        self.check(managers=1, seed=SEED)

    def test_one_manager_second(self):
        self.check(managers=1, seed=SEED + 1)

    def test_three_managers_first(self):
        self.check(managers=3, seed=SEED)

    def test_three_managers_second(self):
        self.check(managers=3, seed=SEED + 1)

    def test_three_managers_third(self):
        self.check(managers=3, seed=SEED + 2)

    def check(self, managers, seed):
        options = scenarios.parse(
            ["--seed", str(seed), "--seconds", str(SECONDS), "--agents",
             str(AGENTS), "--managers", str(managers)])
        print(f"this repeats it: {scenarios.command(options)}", flush=True)
        story = []
        report = scenarios.run(options, story.append)
        print(report, flush=True)
        self.assertTrue(report["passed"], "\n".join(story))


if __name__ == "__main__":
    scenarios.rig.main(scenarios.why_not())
