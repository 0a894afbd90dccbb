"""What the scenarios hold a cell to (scenario_checks.py), each shown to find
what it is there for: a small log, told rightly and then wrongly."""
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import types
import unittest

import cell as cells
import scenario_checks
from cell import wait_until
from ledger import Ledger
from scenario_load import Submission

TAG = f"scenario-check-{os.getpid()}"
CLIENT = "00000000c11e0001"


def submitted(session, name, command, tasks=1, simulated=False):
    return {"body_type": "session_submitted", "command_id": command, "body": {
        "session": session, "spec": {"name": name, "tasks": tasks,
                                     "simulated": simulated}}}


def placed(session, attempt=1):
    return {"body_type": "session_placed", "body": {
        "session": session, "attempt": attempt, "tasks": [{"node": 0}]}}


def started(session, rank=0, attempt=1):
    return {"body_type": "task_started", "body": {
        "session": session, "attempt": attempt, "rank": rank}}


def ended(session, state="succeeded"):
    return {"body_type": "session_ended", "body": {
        "session": session, "state": state}}


EVENTS = [submitted(1, "ledger", f"{CLIENT}1", simulated=True), placed(1),
          started(1), ended(1),
          submitted(2, f"{TAG}-short", "a2"), placed(2), started(2), ended(2),
          submitted(3, f"{TAG}-long", "a3"), placed(3), started(3)]
NODE = {"cpu_milli": 4000, "free_cpu_milli": 3900, "memory_bytes": 10,
        "free_memory_bytes": 10, "devices": [{"free_milli": 500}]}


class ChecksTest(unittest.TestCase):
    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="reeve-checks-")
        self.addCleanup(shutil.rmtree, self.base)
        self.events = copy.deepcopy(EVENTS)
        self.node = copy.deepcopy(NODE)
        self.digest = "d"
        self.ledger = f"intent {CLIENT}1\naccepted {CLIENT}1 1 1\n"
        self.submissions = {
            f"{TAG}-short": Submission(f"{TAG}-short", False, "s-2"),
            f"{TAG}-long": Submission(f"{TAG}-long", True, "s-3")}
        self.excused = set()
        self.may_start_again = set()
        self.task = self.run_task("long", 1)

    def run_task(self, name, attempt):
        """A process as that of a task."""
        task = subprocess.Popen(
            ["sleep", "600"], cwd=self.base, env={
                "REEVE_SESSION_NAME": f"{TAG}-{name}",
                "REEVE_ATTEMPT": str(attempt), "RANK": "0"})
        self.addCleanup(task.wait)
        self.addCleanup(task.kill)
        # The child may not be a `sleep` yet.
        wait_until("the task shows", lambda: (f"{TAG}-{name}", attempt, 0) in
                   scenario_checks.living(TAG))
        return task

    def write(self, name, text):
        with open(os.path.join(self.base, name), "w", encoding="utf-8") as out:
            out.write(text)

    def reeve(self, *words, **_):
        """What `reeve` says of this cell."""
        out = json.dumps({"nodes": [self.node]})
        if words[:2] == ("log", "cat"):
            out = "".join(json.dumps({**event, "seq": number}) + "\n"
                          for number, event in enumerate(self.events, 1))
        return cells.Done(words, 0, out, "")

    def found(self):
        self.write("ledger", self.ledger)
        findings = []
        host = types.SimpleNamespace(
            name="m1", work=self.base, data=self.base, reeve=self.reeve,
            digests=lambda: ("d", self.digest))
        load = types.SimpleNamespace(
            tag=TAG, excused=self.excused,
            may_start_again=self.may_start_again,
            submissions=self.submissions,
            ledgers=lambda: [Ledger(os.path.join(self.base, "ledger"))])
        scenario_checks.check(types.SimpleNamespace(
            leader=lambda: host, managers=[host], desks=[], load=load,
            find=findings.append, options=types.SimpleNamespace(seconds=-1)))
        return findings

    def finds(self, *words):
        findings = self.found()
        self.assertEqual(1, len(findings), findings)
        for word in words:
            self.assertIn(word, findings[0])

    def test_a_cell_as_it_should_be(self):
        self.write("marks", f"{TAG}-long 1 0\n{TAG}-short 1 0\n")
        self.assertEqual([], self.found())

    def test_an_acknowledged_command_that_is_missing(self):
        self.ledger += f"intent {CLIENT}2\naccepted {CLIENT}2 99 99\n"
        self.finds(f"{CLIENT}2", "99", "is []")
        self.excused.add(f"{CLIENT}2")
        self.assertEqual([], self.found())

    def test_an_acknowledged_command_that_is_another(self):
        self.ledger = f"intent {CLIENT}1\naccepted {CLIENT}1 1 7\n"
        self.finds("[(1, 7)]", "[(1, 1)]")

    def test_a_command_that_was_carried_out_twice(self):
        self.ledger = f"intent {CLIENT}1\n"
        self.events += [submitted(4, "ledger", f"{CLIENT}1", simulated=True),
                        ended(4)]
        findings = self.found()
        self.assertIn("doubled", findings[0])
        self.assertIn("never answered", findings[1])

    def test_a_refused_command_that_was_carried_out(self):
        self.ledger = f"intent {CLIENT}1\nrejected {CLIENT}1 floor\n"
        self.finds("refused", "(1, 1)")

    def test_a_command_without_an_answer(self):
        self.ledger += f"intent {CLIENT}2\nunknown {CLIENT}2\n"
        self.finds(f"{CLIENT}2", "never answered")

    def test_a_submission_that_is_missing_or_doubled(self):
        self.submissions["lost"] = Submission("lost", False, "s-9")
        self.finds("lost", "s-9", "is []")
        self.submissions["lost"] = Submission("lost", False)
        self.events += [submitted(4, "lost", "b1"), ended(4),
                        submitted(5, "lost", "b2"), ended(5)]
        self.finds("lost", "doubled")

    def test_a_refused_submission_that_is_there(self):
        self.submissions[f"{TAG}-short"] = Submission(
            f"{TAG}-short", False, refused=True)
        self.finds("short", "refused")

    def test_a_session_that_ended_twice(self):
        self.events.append(ended(2, "failed"))
        self.finds("s-2", "ended 2 times")

    def test_a_session_that_does_not_end(self):
        self.events = [event for event in self.events if event != ended(1)]
        self.finds("s-1", "has not ended")

    def test_a_cancelled_session_that_runs(self):
        self.submissions[f"{TAG}-long"].cancelled = True
        self.finds("s-3", "was cancelled")

    def test_a_task_that_started_twice(self):
        self.events.append(started(3))
        self.finds("(3, 1, 0)", "2 times in the log")
        self.events.pop()
        self.write("marks", f"{TAG}-long 1 0\n" * 2)
        self.finds("started 2 times", f"{TAG}-long 1 0")

    def test_a_running_session_without_a_process(self):
        self.task.kill()
        self.task.wait()
        self.finds(f"{TAG}-long", "0 pid namespaces, not in 1")

    def test_a_process_of_an_ended_session(self):
        self.run_task("short", 1)
        self.finds(f"{TAG}-short", "1 pid namespaces, not in 0")

    def test_a_process_of_an_earlier_attempt(self):
        self.events += [placed(3, attempt=2), started(3, attempt=2)]
        self.run_task("long", 2)
        self.finds(f"('{TAG}-long', 1, 0)", "not in 0")

    def test_a_state_that_the_log_does_not_give(self):
        self.digest = "e"
        self.finds("digest d", "e")

    def test_a_node_or_device_that_holds_more_than_it_has(self):
        self.node["free_cpu_milli"] = -100
        self.finds("booked wrongly")
        self.node["free_cpu_milli"] = 0
        self.node["devices"][0]["free_milli"] = 1001
        self.finds("booked wrongly")

    def test_processes_that_are_left(self):
        left = list(scenario_checks.orphans(self.base))
        self.assertEqual(1, len(left), left)
        self.assertIn(str(self.task.pid), left[0])


if __name__ == "__main__":
    sys.exit(cells.main())
