"""GPUs are tested, and cleaned between two owners. The driver's library and
the probe are the tests' own: what the probe finds stands in a file."""
import os
import shutil
import stat
import sys
import tempfile
import unittest

import cell as cells
from cell import CellTest, read, wait_until

PROBE = r"""#!/bin/sh
here=$(dirname "$0")
echo "$1 $CUDA_VISIBLE_DEVICES" >> "$here/calls"
plan=$(cat "$here/plan")
line() {
  echo "{\"check\":\"$1\",\"seconds\":1,\"figures\":{$2},\"wrong\":[$3]}"
}
line device '"memory_bytes":8e10'
case $plan in
hang) exec sleep 1000 ;;
wait) while [ ! -e "$here/go" ]; do sleep 0.1; done ;;
faulty) line fp32 "" '"3 of the results are wrong"' ;;
esac
line "$1" '"memory_read":3.17e12,"cleared_bytes":7.9e10'
line end
[ "$plan" != faulty ]
"""
# Numbers of device files that no GPU of this host has, from 255 down.
MINORS = range(255, 99, -1)


def two(minors):
    """A machine with two GPUs."""
    return "".join(f"device uuid=GPU-{name} model=NVIDIA_H100_80GB_HBM3 "
                   f"minor={minor} power_set=700000\n"
                   for name, minor in zip("ab", minors))


class ProbedCell(CellTest):
    """A cell with two GPUs and a probe that says what is planned."""
    minors = MINORS[:2]

    @classmethod
    def setUpClass(cls):
        cls.driver = tempfile.mkdtemp(prefix="reeve-driver-", dir="/var/tmp")
        for library in "libnvidia-ml.so.1", "libcuda.so.1":
            os.symlink(os.environ["REEVE_FAKE_NVML"],
                       os.path.join(cls.driver, library))
        cls.write("probe", PROBE)
        os.chmod(os.path.join(cls.driver, "probe"), 0o755)
        cls.plan("healthy")
        cls.write("machine.txt", two(cls.minors))
        os.environ["REEVE_FAKE_NVML_SCRIPT"] = os.path.join(cls.driver,
                                                            "machine.txt")
        os.environ["LD_LIBRARY_PATH"] = cls.driver
        cls.SETTINGS = ('[agent]\nname = "host-1"\ncpus = 8\n'
                        f'gpu_probe = "{cls.driver}/probe"\n')
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.driver)

    @classmethod
    def write(cls, name, text):
        path = os.path.join(cls.driver, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    @classmethod
    def plan(cls, word):
        cls.write("plan", word)

    def calls(self, what):
        """How often the probe was started with these words."""
        return read(os.path.join(self.driver, "calls")).split("\n").count(what)

    def gpus(self):
        listed = self.cell.reeve("gpus", "--json").json()["gpus"]
        return {gpu["uuid"]: gpu for gpu in listed}

    def setUp(self):
        self.addCleanup(self.plan, "healthy")
        # Those that join are tested first, and all are fit.
        wait_until("both GPUs are offered", lambda: all(
            "tested" in gpu and "quarantine" not in gpu
            for gpu in self.gpus().values()))


class DeviceTestsTest(ProbedCell):
    def test_what_joins_is_tested_before_it_is_offered(self):
        kinds = [line.split()[3] for line in self.cell.reeve(
            "log", "cat", "--filter", "node=host-1").out.splitlines()]
        first = kinds.index("node_registered")
        self.assertEqual(
            ["node_registered", "device_test_requested", "device_quarantined",
             "device_test_requested", "device_quarantined"],
            kinds[first:first + 5])
        for uuid in "GPU-a", "GPU-b":
            self.assertGreaterEqual(self.calls(f"quick {uuid}"), 1)
            self.assertEqual("healthy", self.gpus()[uuid]["tested"]["verdict"])

    def test_a_test_by_hand_tells_what_was_measured(self):
        done = self.cell.reeve("gpu", "test", "host-1", "--quick", "--json")
        tests = done.json()["tests"]
        self.assertEqual(["0", "1"], sorted(one["gpu"] for one in tests))
        for one in tests:
            self.assertEqual("healthy", one["verdict"])
            self.assertEqual([{"name": "memory_read",
                               "per_second": 3170000000000,
                               "share_milli": 945}], one["figures"])
        before = self.calls("full GPU-b")
        done = self.cell.reeve("gpu", "test", "host-1", "GPU-b")
        self.assertIn("healthy", done.out)
        self.assertIn("3.17 TB/s (95 %)", done.out)
        self.assertEqual(before + 1, self.calls("full GPU-b"))
        for command in ["gpus"], ["node", "show", "host-1"]:
            shown = self.cell.reeve(*command).out
            self.assertIn("LAST TEST", shown)
            self.assertIn("3.17 TB/s (95 %)", shown)

    def test_a_faulty_gpu_stays_out_until_it_passes_a_full_test(self):
        self.plan("faulty")
        done = self.cell.reeve("gpu", "test", "host-1", "0", "--quick", code=1)
        self.assertIn("faulty", done.out)
        reason = self.gpus()["GPU-a"]["quarantine"]["reason"]
        self.assertEqual("the probe found it faulty: fp32: 3 of the results "
                         "are wrong", reason)
        refused = self.cell.reeve("gpu", "release", "host-1", "0", code=3)
        self.assertIn("passed test", refused.err)
        self.plan("healthy")
        self.cell.reeve("gpu", "test", "host-1", "0", "--quick")
        self.assertIn("quarantine", self.gpus()["GPU-a"])
        self.cell.reeve("gpu", "test", "host-1", "0", "--full")
        self.assertNotIn("quarantine", self.gpus()["GPU-a"])

    def test_a_probe_that_hangs_is_killed_and_the_agent_lives_on(self):
        self.plan("hang")
        child = self.cell.start("gpu", "test", "host-1", "0", "--quick")
        wait_until("the probe hangs",
                   lambda: "testing" in self.gpus()["GPU-a"])
        self.assertIn("TESTED", self.cell.reeve("gpus").out)
        # The session does not wait for the GPU that is tested.
        self.cell.reeve("run", "--", "true")
        done = self.cell.finish(child, 60 + cells.PATIENCE_S)
        self.assertEqual(1, done.code, done)
        self.assertIn("unfinished", done.out)
        self.assertIn("did not end within 60000 ms",
                      self.gpus()["GPU-a"]["quarantine"]["reason"])
        self.plan("healthy")
        self.cell.reeve("gpu", "test", "host-1", "0")

    def test_what_the_agent_finds_unfit_is_tested_by_itself(self):
        before = self.calls("full GPU-b")
        self.write("machine.txt", two(self.minors) + "xid 1 48\n")
        wait_until("GPU-b is tested in full",
                   lambda: self.calls("full GPU-b") > before)
        wait_until("GPU-b is offered again",
                   lambda: "quarantine" not in self.gpus()["GPU-b"])
        self.write("machine.txt", two(self.minors))
        told = self.cell.reeve("log", "cat", "--filter",
                               "kind=device_released").out
        self.assertIn("(GPU-b), by its agent", told)

    def test_a_test_is_made_anew_when_the_daemon_was_killed(self):
        self.plan("wait")
        before = self.calls("quick GPU-a")
        child = self.cell.start("gpu", "test", "host-1", "0", "--quick",
                                "--json")
        wait_until("it has begun",
                   lambda: self.calls("quick GPU-a") == before + 1)
        self.cell.kill_daemon()
        self.cell.up()
        wait_until("it has begun again",
                   lambda: self.calls("quick GPU-a") == before + 2)
        go = os.path.join(self.driver, "go")
        self.write("go", "")
        self.addCleanup(os.remove, go)
        done = self.cell.finish(child)
        self.assertEqual(0, done.code, done)
        self.assertEqual("healthy", done.json()["tests"][0]["verdict"])

    def test_what_cannot_be_tested_is_refused(self):
        self.cell.reeve("gpu", "test", "nowhere", code=4)
        self.cell.reeve("gpu", "test", "host-1", "7", code=4)
        self.cell.up_with_nodes("sn,cpu_milli,memory_mib,gpu,model\n"
                                "sim-1,8000,16384,1,T4\n")
        self.addCleanup(self.cell.reeve, "node", "remove", "sim-1")
        refused = self.cell.reeve("gpu", "test", "sim-1", code=3)
        self.assertIn("simulated", refused.err)


@unittest.skipIf(os.geteuid() != 0, "tasks run as who started the cell")
class HandOverTest(ProbedCell):
    """With device files, so that tasks get the GPUs."""

    @classmethod
    def setUpClass(cls):
        cls.files, cls.minors = [], []
        for minor in MINORS:
            path = f"/dev/nvidia{minor}"
            try:
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            except FileExistsError:
                continue  # of another test beside this one
            except OSError as error:
                raise unittest.SkipTest(f"no device files: {error}") from error
            cls.files.append(path)
            cls.minors.append(minor)
            if len(cls.minors) == 2:
                break
        super().setUpClass()
        for name, uid in ("dora", "23456"), ("emma", "23457"):
            cls.cell.reeve("user", "set", name, "--uid", uid)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        for path in cls.files:
            os.remove(path)

    def run_on_gpu(self, user, *options):
        return self.cell.reeve("run", "--user", user, "--gpus", "1", *options,
                               "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")

    def only(self, index):
        """Keeps the other GPU out."""
        other = str(1 - index)
        self.cell.reeve("gpu", "quarantine", "host-1", other)
        self.addCleanup(self.cell.reeve, "gpu", "release", "host-1", other,
                        "--force", code=None)

    def test_memory_is_cleared_for_another_owner_alone(self):
        self.only(0)
        self.run_on_gpu("dora")
        before = self.calls("clear GPU-a")
        self.assertIn("GPU-a", self.run_on_gpu("dora").out)
        self.assertEqual(before, self.calls("clear GPU-a"))
        self.run_on_gpu("emma")
        self.assertEqual(before + 1, self.calls("clear GPU-a"))
        # It is known after a restart, too.
        self.cell.kill_daemon()
        self.cell.up()
        self.run_on_gpu("emma")
        self.assertEqual(before + 1, self.calls("clear GPU-a"))
        self.run_on_gpu("dora")
        self.assertEqual(before + 2, self.calls("clear GPU-a"))

    def test_what_an_owner_set_is_put_back(self):
        self.only(1)
        self.run_on_gpu("dora")
        self.write("machine.txt", two(self.minors).replace("power_set=700000",
                                              "power_set=300000"))
        self.addCleanup(self.write, "machine.txt", two(self.minors))
        self.run_on_gpu("emma")
        self.assertIn("nvmlDeviceSetPowerManagementLimit 1 700000\n",
                      read(os.path.join(self.driver, "machine.txt.calls")))

    def test_a_gpu_that_is_not_clean_is_left_for_another(self):
        self.only(0)
        self.run_on_gpu("dora")
        self.write("machine.txt", two(self.minors) + "process 0 1 1048576\n")
        self.addCleanup(self.write, "machine.txt", two(self.minors))
        session = self.cell.submit("--user", "emma", "--gpus", "1", "--",
                                   "true")
        wait_until("GPU-a is quarantined",
                   lambda: "quarantine" in self.gpus()["GPU-a"])
        self.assertEqual("it could not be cleared for its next owner: "
                         "programs still use it: 1",
                         self.gpus()["GPU-a"]["quarantine"]["reason"])
        self.cell.reeve("gpu", "release", "host-1", "1")
        self.cell.await_state(session, "succeeded")
        self.assertIn("device_unclean",
                      self.cell.reeve("history", session).out)
        self.write("machine.txt", two(self.minors))
        self.cell.reeve("gpu", "test", "host-1", "0")
        self.assertNotIn("quarantine", self.gpus()["GPU-a"])

    def test_a_launch_that_waits_for_its_gpu_is_cancelled(self):
        self.only(0)
        self.run_on_gpu("dora")
        self.plan("wait")
        before = self.calls("clear GPU-a")
        session = self.cell.submit("--user", "emma", "--gpus", "1", "--",
                                   "true")
        wait_until("it is being cleared",
                   lambda: self.calls("clear GPU-a") == before + 1)
        self.cell.reeve("cancel", session)
        self.cell.await_state(session, "cancelled")
        self.write("go", "")
        self.addCleanup(os.remove, os.path.join(self.driver, "go"))
        self.plan("healthy")
        self.run_on_gpu("emma")
        self.assertEqual(before + 1, self.calls("clear GPU-a"))

    def test_a_gpu_that_is_held_is_not_tested(self):
        session = self.cell.submit("--gpus", "2", "--", "sleep", "1000")
        self.cell.await_state(session, "running")
        refused = self.cell.reeve("gpu", "test", "host-1", "0", code=3)
        self.assertIn(f"held by {session}", refused.err)
        self.cell.reeve("cancel", session)
        self.cell.await_state(session, "cancelled")


if __name__ == "__main__":
    sys.exit(cells.main())
