"""Gangs of tasks and GPUs: whole, in shares and by model, on simulated nodes
where there are none."""
import sys

import cell as cells
from cell import CellTest, wait_until

# sn, cpu_milli, memory_mib, gpu, model
NODES = """sn,cpu_milli,memory_mib,gpu,model
big,64000,262144,4,A100
small,16000,65536,2,T4
plain,16000,65536,0,
"""


class GangTest(CellTest):
    def test_each_task_of_a_gang_knows_its_place(self):
        one = self.cell.submit(
            "--tasks", "3", "--cpus", "0.5", "--", "sh", "-c",
            "echo $RANK $WORLD_SIZE $LOCAL_RANK $MASTER_ADDR $MASTER_PORT")
        self.cell.reeve("wait", one)
        lines = [self.cell.reeve("logs", one, "--task", str(rank)).out.split()
                 for rank in range(3)]
        self.assertEqual([["0", "3"], ["1", "3"], ["2", "3"]],
                         [line[:2] for line in lines])
        self.assertEqual(1, len({tuple(line[3:]) for line in lines}))
        self.assertEqual(["0", "1", "2"], [line[2] for line in lines])
        self.cell.reeve("logs", one, "--task", "3", code=4)

    def test_a_task_that_fails_ends_its_peers(self):
        one = self.cell.submit("--tasks", "3", "--cpus", "0.5", "--", "sh",
                               "-c", "[ $RANK = 1 ] && exit 9; sleep 3600")
        self.cell.reeve("wait", one, code=9)
        shown = self.cell.show(one)
        self.assertEqual("failed", shown["state"])
        self.assertEqual(9, shown["tasks"][1]["exit_code"])

    def test_a_gang_starts_whole_or_not_at_all(self):
        first = self.cell.submit("--cpus", "20", "--", "sleep", "3600")
        self.cell.await_state(first, "running")
        gang = self.cell.submit("--tasks", "2", "--cpus", "10", "--", "true")
        why = self.cell.reeve("why", gang, "--json").json()
        self.assertIn("1 of 2 tasks", why["summary"])
        self.assertEqual([], self.cell.show(gang)["tasks"])
        self.cell.reeve("cancel", first)
        self.cell.reeve("wait", gang)


class GpuTest(CellTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cell.up_with_nodes(NODES)

    def tearDown(self):
        listed = self.cell.reeve("ps", "--json").json()["sessions"]
        for one in listed:
            self.cell.reeve("cancel", one["session_id"], code=None)
        wait_until("all have ended", lambda: not self.cell.reeve(
            "ps", "--json").json()["sessions"])

    def simulate(self, *options, duration="1h"):
        return self.cell.submit("--sim-duration", duration, *options)

    def gpus(self):
        listed = self.cell.reeve("gpus", "--json").json()["gpus"]
        return {(gpu["node"], gpu["index"]): gpu for gpu in listed}

    def test_shares_fill_a_device_before_the_next(self):
        ids = [self.simulate("--gpus", "T4:0.25", "--cpus", "1")
               for _ in range(4)]
        for one in ids:
            self.cell.await_state(one, "running")
        free = sorted(self.gpus()["small", i]["free_milli"] for i in (0, 1))
        self.assertEqual([0, 1000], free)
        half = self.simulate("--gpus", "T4:1", "--cpus", "1")
        shown = self.cell.await_state(half, "running")
        devices = shown["tasks"][0]["devices"]
        self.assertEqual([1000], [device["milli"] for device in devices])
        waits = self.simulate("--gpus", "T4:0.5", "--cpus", "1")
        self.assertEqual("pending", self.cell.show(waits)["state"])
        self.assertIn("GPU", self.cell.reeve("why", waits).out)
        self.cell.reeve("cancel", half)
        self.cell.await_state(waits, "running")

    def test_memory_of_shares_is_not_given_twice(self):
        total = self.gpus()["big", 0]["memory_bytes"]
        ids = [self.simulate("--gpus", "A100:0.1", "--gpu-mem",
                             str(total * 2 // 3), "--cpus", "1")
               for _ in range(4)]
        for one in ids:
            self.cell.await_state(one, "running")
        free = [self.gpus()["big", i]["free_milli"] for i in range(4)]
        self.assertEqual([900] * 4, free)

    def test_a_model_is_a_constraint_and_any_of_several_will_do(self):
        one = self.simulate("--gpus", "T4|P100:2", "--cpus", "1")
        shown = self.cell.await_state(one, "running")
        self.assertEqual({"small"}, {t["node"] for t in shown["tasks"]})
        done = self.cell.reeve("submit", "--sim-duration", "1s", "--gpus",
                               "V100:1", code=3)
        self.assertIn("v100", done.err.lower())

    def test_whole_devices_are_held_by_one_and_come_back(self):
        one = self.simulate("--gpus", "A100:4", "--cpus", "1")
        self.cell.await_state(one, "running")
        holders = [self.gpus()["big", i]["holders"] for i in range(4)]
        self.assertTrue(all(len(held) == 1 for held in holders), holders)
        two = self.simulate("--gpus", "A100:1", "--cpus", "1", duration="1ms")
        self.assertEqual("pending", self.cell.show(two)["state"])
        self.cell.reeve("cancel", one)
        self.cell.reeve("wait", two)

    def test_a_gpu_in_quarantine_is_offered_to_nobody(self):
        self.addCleanup(self.cell.reeve, "gpu", "release", "small", "1",
                        code=None)
        done = self.cell.reeve("gpu", "quarantine", "small", "1", "--reason",
                               "runs hot", "--json").json()
        self.assertEqual(("small", "1"), (done["node"], done["gpu"]))
        gpu = self.gpus()["small", 1]
        self.assertEqual(0, gpu["free_milli"])
        self.assertEqual("runs hot", gpu["quarantine"]["reason"])
        self.assertFalse(gpu["quarantine"]["by_agent"])
        self.assertNotIn("quarantine", self.gpus()["small", 0])
        for command in (["gpus"], ["node", "show", "small"]):
            text = self.cell.reeve(*command).out
            self.assertIn("QUARANTINED", text)
            self.assertIn("runs hot", text)
        both = self.simulate("--gpus", "T4:2", "--cpus", "1")
        self.assertIn("quarantined", self.cell.reeve("why", both).out)
        self.assertEqual("pending", self.cell.show(both)["state"])
        again = self.cell.reeve("gpu", "quarantine", "small", gpu["uuid"],
                                code=3)
        self.assertIn("runs hot", again.err)
        none = self.cell.reeve("gpu", "quarantine", "small", "2", code=4)
        self.assertIn("it has 2", none.err)
        self.cell.reeve("gpu", "release", "small", gpu["uuid"])
        self.cell.await_state(both, "running")
        told = self.cell.reeve(
            "log", "cat", "--filter",
            "kind=device_quarantined,device_released and node=small").out
        self.assertIn(f"({gpu['uuid']}): runs hot", told)
        self.assertEqual(2, told.count("GPU 1 of node"))
        self.cell.reeve("gpu", "release", "small", "1", code=3)

    def test_a_gang_of_gpu_tasks_spreads_over_nodes_when_asked(self):
        one = self.simulate("--gpus", "1", "--tasks", "2", "--nodes", "2",
                            "--cpus", "1")
        shown = self.cell.await_state(one, "running")
        self.assertEqual({"big", "small"},
                         {task["node"] for task in shown["tasks"]})

    def test_simulated_nodes_are_labelled_and_take_nothing_real(self):
        nodes = self.cell.reeve("nodes", "--json").json()["nodes"]
        self.assertEqual({"big", "small", "plain"},
                         {n["name"] for n in nodes if n["simulated"]})
        self.assertIn("simulated", self.cell.reeve("nodes").out)
        real = [n for n in nodes if not n["simulated"]][0]
        if real.get("devices"):
            self.skipTest("this host has GPUs of its own")
        done = self.cell.reeve("submit", "--gpus", "1", "--", "true", code=3)
        self.assertIn("GPU", done.err)


if __name__ == "__main__":
    sys.exit(cells.main())
