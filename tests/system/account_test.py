"""Users, projects, groups and quotas as an admin sets them on a running cell,
and what becomes of sessions at them."""
import json
import os
import pwd
import shutil
import sys
import unittest

import cell as cells
from cell import CellTest, wait_until


class AccountTest(CellTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cell.up("--sim-nodes", "2")

    def sim(self, *options, code=0):
        done = self.cell.reeve("submit", *options, "--sim-duration", "1h",
                               "--cpus", "1", code=code)
        return done.out.strip() if code == 0 else done

    def listed(self, kind, name):
        rows = self.cell.reeve(kind, "list", "--json").json()
        return next((row for row in rows
                     if row["account"]["name"] == name), None)

    def test_a_project_is_made_changed_listed_and_removed(self):
        self.cell.reeve("project", "set", "research")
        self.cell.reeve("project", "set", "vision", "--parent", "research",
                        "--weight", "2", "--member", "ann", "--member", "root")
        row = self.listed("project", "vision")["account"]
        self.assertEqual(("research", 2000, ["ann", "root"]),
                         (row["parent"], row["weight_milli"], row["members"]))
        self.cell.reeve("project", "set", "vision", "--priority-max", "3")
        row = self.listed("project", "vision")["account"]
        self.assertEqual((3, 2000), (row["priority_max"], row["weight_milli"]))
        refused = self.sim("--project", "vision", "--priority", "4", code=3)
        self.assertIn("at most 3, not 4", refused.err)
        text = self.cell.reeve("project", "list").out
        self.assertIn("vision", text)
        refused = self.cell.reeve("project", "remove", "research", code=3)
        self.assertIn("project vision lies below research", refused.err)
        self.cell.reeve("project", "remove", "vision")
        self.cell.reeve("project", "remove", "research")
        self.assertIsNone(self.listed("project", "vision"))

    def test_a_quota_holds_sessions_back_and_lets_them_go(self):
        self.cell.reeve("project", "set", "tight")
        self.cell.reeve("quota", "set", "project:tight", "--gpus", "4",
                        "--waiting", "2")
        first = self.sim("--project", "tight", "--gpus", "3")
        self.cell.await_state(first, "running")
        held = self.sim("--project", "tight", "--gpus", "2")
        other = self.sim("--gpus", "2")
        self.cell.await_state(other, "running")
        self.assertEqual("pending", self.cell.show(held)["state"])
        why = self.cell.reeve("why", held).out
        self.assertIn("project tight may have 4 GPUs and has 3; this session "
                      "wants 2", why)
        self.sim("--project", "tight", "--gpus", "2")
        refused = self.sim("--project", "tight", "--gpus", "1", code=3)
        self.assertIn("project tight may have 2 waiting sessions and has 2",
                      refused.err)
        refused = self.sim("--project", "tight", "--gpus", "5", code=3)
        self.assertIn("could never start", refused.err)
        row = self.listed("project", "tight")
        self.assertEqual((1, 2, 3000), (row["sessions"], row["waiting"],
                                        row["gpu_milli"]))
        self.assertIn("4 GPUs", self.cell.reeve("quota", "list").out)
        self.cell.reeve("cancel", first)
        self.cell.await_state(held, "running")
        self.cell.reeve("quota", "remove", "project:tight")
        wait_until("all of the project runs",
                   lambda: self.listed("project", "tight")["sessions"] == 2)

    def test_quotas_outlive_the_daemon(self):
        self.cell.reeve("project", "set", "kept")
        self.cell.reeve("quota", "set", "project:kept", "--gpus", "2",
                        "--gpu-hours", "100", "--per", "month")
        first = self.sim("--project", "kept", "--gpus", "2")
        self.cell.await_state(first, "running")
        held = self.sim("--project", "kept", "--gpus", "1")
        self.cell.reeve("down")
        self.cell.up()
        row = self.listed("project", "kept")
        self.assertEqual(
            (2000, 100000, "month"),
            (row["limits"]["gpu_milli"], row["limits"]["gpu_milli_hours"],
             row["limits"]["period"]))
        self.assertEqual("pending", self.cell.show(held)["state"])
        self.assertIn("project kept may have 2 GPUs",
                      self.cell.reeve("why", held).out)
        self.cell.reeve("cancel", first)
        self.cell.await_state(held, "running")

    def test_an_admin_submits_for_others(self):
        self.cell.reeve("user", "set", "bob", "--uid", "12345")
        self.cell.reeve("quota", "set", "user:bob", "--gpus", "1")
        refused = self.sim("--user", "bob", "--gpus", "2", code=3)
        self.assertIn("user bob may have 1 GPU; this session wants 2",
                      refused.err)
        session = self.sim("--user", "bob", "--gpus", "1")
        self.assertEqual("bob", self.cell.show(session)["user"])
        self.assertIn(f"{session} by root for bob",
                      self.cell.reeve("history", session).out)
        # Whom nobody knows is made with a first submission, if nothing runs.
        self.cell.reeve("submit", "--user", "carl-of-nowhere", "--", "true",
                        code=4)
        first = self.sim("--user", "carl-of-nowhere")
        self.assertEqual("carl-of-nowhere", self.cell.show(first)["user"])
        self.assertEqual(65534, self.listed("user", "carl-of-nowhere")
                         ["account"]["uid"])
        self.sim("--user", "a b", code=3)
        lines = ('{"user": "bob", "sim-duration": "1h"}\n'
                 '{"sim-duration": "1h"}\n')
        many = self.cell.reeve("submit", "--file", "-", input=lines).out.split()
        self.assertEqual(["bob", "root"],
                         [self.cell.show(one)["user"] for one in many])
        self.cell.reeve("cancel", session, first, *many)
        self.cell.reeve("quota", "remove", "user:bob")

    @unittest.skipIf(os.geteuid() != 0, "tasks run as who started the cell")
    def test_what_an_admin_submits_for_another_runs_as_the_other(self):
        self.cell.reeve("user", "set", "dora", "--uid", "23456")
        out = self.cell.reeve("run", "--user", "dora", "--", "sh", "-c",
                              "id -u; id -g; echo $USER:$HOME").out
        self.assertEqual(["23456", "65534", "dora:"], out.split())

    def test_a_trace_runs_for_its_users_where_asked(self):
        path = os.path.join(self.cell.work, "users.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            for user in "emma", "finn", "emma", "root":
                file.write(json.dumps({"submit_at": 0, "user": user,
                                       "duration": 1}) + "\n")

        def run(*options, code=0):
            return self.cell.reeve("trace", "run", path, "--format", "reeve",
                                   *options, code=code)
        done = run()
        self.assertIn("the trace is of 3 users", done.err)
        self.assertIsNone(self.listed("user", "emma"))
        done = run("--users")
        self.assertEqual(4, json.loads(done.out)["finished"])
        for user, count in ("emma", 2), ("finn", 1):
            rows = self.cell.reeve("ps", "--all", "--user", user,
                                   "--json").json()["sessions"]
            self.assertEqual(count, len(rows))
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"submit_at": 0}\n')
        self.assertIn("names no user", run("--users", code=2).err)

    def test_a_group_without_a_policy_shows_the_default(self):
        self.cell.reeve("group", "set", "plain")
        self.assertRegex(self.cell.reeve("group", "list").out,
                         "plain +default: order=fifo,")
        self.cell.reeve("group", "remove", "plain")

    def test_a_group_says_who_shares_a_gpu(self):
        def share(setting, code=0):
            return self.cell.reeve("group", "set", "default", "--gpu-sharing",
                                   setting, code=code)
        self.assertRegex(self.cell.reeve("group", "list").out,
                         r"default .* project *\n")
        share("none")
        self.assertEqual(
            "none", self.listed("group", "default")["account"]["gpu_sharing"])
        refused = self.cell.reeve("submit", "--gpus", "0.3", "--", "true",
                                  code=3)
        self.assertIn("gives no shares of a GPU", refused.err)
        self.assertIn("--gpus 1", refused.err)
        # Another word changes nothing about it.
        self.cell.reeve("group", "set", "default", "--weight", "1")
        self.assertEqual(
            "none", self.listed("group", "default")["account"]["gpu_sharing"])
        self.assertIn("friends", share("friends", code=2).err)
        share("project")

    def test_a_group_takes_another_policy_while_it_runs(self):
        self.cell.reeve("group", "set", "default", "--policy", "fifo")
        self.assertEqual("fifo",
                         self.listed("group", "default")["account"]["policy"])
        refused = self.cell.reeve("group", "set", "default", "--policy",
                                  "fiffo", code=3)
        self.assertIn("fifo", refused.err)
        for policy in ["drf", "fair_share,half_life=2d", "multifactor,easy",
                       "sjf,conservative,estimates=history", "lifo", "greedy"]:
            self.cell.reeve("group", "set", "default", "--policy", policy)
            self.cell.reeve("run", "--", "true")

    def test_what_is_wrong_is_told_and_changes_nothing(self):
        head = self.cell.reeve("status", "--json").json()["head_seq"]
        for code, words, said in [
                (2, ["quota", "set", "tight", "--gpus", "1"],
                 "user:NAME, project:NAME or group:NAME"),
                (2, ["quota", "set", "user:root", "--gpus", "-1"],
                 "--gpus: a quota is 0 or more, not -1"),
                (2, ["quota", "set", "user:root", "--sessions", "-3"],
                 "--sessions: a quota is 0 or more, not -3"),
                (2, ["quota", "set", "user:root", "--mem", "-1G"],
                 "--mem: a quota is 0 or more, not -1G"),
                (2, ["quota", "set", "user:root", "--sessions", "few"],
                 '--sessions: "few" is no limit'),
                (2, ["quota", "set", "user:root", "--per", "year"], "year"),
                (4, ["quota", "set", "user:nobody", "--gpus", "1"], "nobody"),
                (3, ["quota", "set", "user:root"], "limits something"),
                (4, ["quota", "remove", "user:root"], "has no quota"),
                (2, ["user", "set", "ann"], "--uid"),
                (2, ["user", "set", "ann", "--admin", "maybe"], "maybe"),
                (3, ["project", "set", "a b"], "letters, digits"),
                (4, ["project", "set", "x", "--parent", "none-such"],
                 "none-such"),
                (4, ["user", "remove", "nobody"], "nobody"),
                (3, ["user", "remove", "root"], "owns the cell")]:
            with self.subTest(words=words):
                done = self.cell.reeve(*words, code=code)
                self.assertIn(said, done.err)
        self.assertEqual(head, self.cell.reeve("status", "--json").json()
                         ["head_seq"])

    def test_events_and_diff_tell_of_accounts(self):
        head = self.cell.reeve("status", "--json").json()["head_seq"]
        self.cell.reeve("project", "set", "seen")
        self.cell.reeve("quota", "set", "project:seen", "--gpus", "1")
        text = self.cell.reeve("log", "cat", "--from", str(head + 1)).out
        self.assertIn("project seen: 1 GPU\n", text)
        changes = self.cell.reeve("diff", str(head), "now", "--json").out
        self.assertIn('"seen"', changes)
        self.assertEqual(1, sum(1 for line in changes.splitlines()
                                if json.loads(line).get("id") == "seen"))


@unittest.skipIf(os.geteuid() != 0, "nobody else can be the daemon's user")
class OwnerTest(unittest.TestCase):
    def test_a_cell_stays_its_owners_when_another_user_runs_it(self):
        """As of a manager that gets deploy/systemd/manager-only.conf."""
        cell = cells.Cell("[agent]\nenabled = false\n")
        other = pwd.getpwnam("nobody")
        try:
            cell.up()
            cell.reeve("user", "set", "ann", "--uid", "12345", "--admin", "yes")
            cell.reeve("down")
            # The build may lie where nobody else may look.
            cell.bin = shutil.copytree(cells.BIN,
                                       os.path.join(cell.base, "bin"))
            os.chmod(cell.base, 0o755)
            os.chmod(cell.bin, 0o755)
            for folder, names, files in os.walk(cell.data):
                for name in [folder, *(os.path.join(folder, one)
                                       for one in files)]:
                    os.chown(name, other.pw_uid, other.pw_gid)
            os.chown(cell.work, other.pw_uid, other.pw_gid)
            cell.identity = {"user": other.pw_uid, "group": other.pw_gid,
                             "extra_groups": []}
            cell.up()
            self.assertEqual(other.pw_uid, os.stat(
                f"/proc/{cell.daemon_pid()}").st_uid)
            cell.identity = {}
            cell.reeve("user", "set", "bob", "--uid", "12346")
            cell.reeve("token", "list")
        finally:
            words = cell.last_words()
            left = cell.stop()
            self.assertEqual([], left, words)
            cell.remove()


if __name__ == "__main__":
    sys.exit(cells.main())
