"""The boards for Grafana show what a cell serves: each metric and label that
they ask for is there, of a GPU whose driver tells all there is to tell."""
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import urllib.request

import cell as cells
from cell import CellTest, read, wait_until

SOURCE = os.environ["REEVE_SOURCE"]
BOARDS = os.path.join(SOURCE, "deploy", "grafana")
# Put on by Prometheus itself, and by deploy/prometheus.yml.
ADDED = {"instance", "job", "cell"}

MACHINE = (
    "device uuid=GPU-a model=NVIDIA_H100 minor=3 gpu=97 mem=40 "
    "memory=85899345920 used=1073741824 power=650500 energy=12345 "
    "temperature=61 memory_temperature=70 sm_clock=1755 memory_clock=2619 "
    "throttle=4 ecc=1 ecc_corrected=3 ecc_uncorrected=0 ecc_corrected_ever=4 "
    "ecc_uncorrected_ever=0 rows_corrected=1 rows_uncorrected=0 "
    "remap_pending=0 remap_failed=0 pcie_gen=5 pcie_width=16 pcie_tx=100 "
    "pcie_rx=200 nvlink_tx=1 nvlink_rx=2\n"
    "device uuid=GPU-b\n"
    "nvlink 0 1 4\n")


def boards():
    return {name: json.loads(read(os.path.join(BOARDS, name)))
            for name in sorted(os.listdir(BOARDS))}


def expressions(board):
    return [target["expr"] for panel in board["panels"]
            for target in panel["targets"]]


def metrics_of(expression):
    """The metrics of an expression, and the labels asked of each."""
    bare = re.sub(r'"(\\.|[^"\\])*"', '""', expression)
    bare = re.sub(r"\[[^\]]*\]|\bby\s*\([^)]*\)", "", bare)
    found = {}
    for name, call, selector in re.findall(
            r"\b([A-Za-z_]\w*)(\s*\()?(\{[^}]*\})?", bare):
        if not call:
            found.setdefault(name, set()).update(
                re.findall(r"(\w+)\s*[=!]", selector))
    return found


def grouped(expression):
    return {label.strip() for labels in
            re.findall(r"\bby\s*\(([^)]*)\)", expression)
            for label in labels.split(",")}


class DashboardsTest(CellTest):
    @classmethod
    def setUpClass(cls):
        cls.driver = tempfile.mkdtemp(prefix="reeve-driver-", dir="/var/tmp")
        os.symlink(os.environ["REEVE_FAKE_NVML"],
                   os.path.join(cls.driver, "libnvidia-ml.so.1"))
        script = os.path.join(cls.driver, "machine.txt")
        with open(script, "w", encoding="utf-8") as file:
            file.write(MACHINE)
        os.environ["REEVE_FAKE_NVML_SCRIPT"] = script
        os.environ["LD_LIBRARY_PATH"] = cls.driver
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        cls.SETTINGS = f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
        cls.url = f"http://127.0.0.1:{port}/metrics"
        super().setUpClass()
        wait_until("the first samples of the GPUs",
                   lambda: "DCGM_FI_DEV_PCIE_TX_THROUGHPUT" in cls.served())

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.driver)

    @classmethod
    def served(cls):
        """Labels by metric."""
        with urllib.request.urlopen(
                cls.url, timeout=cells.PATIENCE_S) as answer:
            text = answer.read().decode()
        found = {}
        for name, labels in re.findall(r"^(\w+)(\{.*\})? \S+$", text, re.M):
            found.setdefault(name, set()).update(
                re.findall(r'(\w+)="', labels))
        return found

    def test_each_metric_and_label_is_served(self):
        served = self.served()
        asked = set()
        for name, board in boards().items():
            for expression in expressions(board):
                metrics = metrics_of(expression)
                self.assertTrue(metrics, f"{name}: {expression}")
                known = set(ADDED)
                for metric, labels in metrics.items():
                    self.assertIn(metric, served, f"{name}: {expression}")
                    known |= served[metric]
                    self.assertLessEqual(labels, served[metric] | ADDED,
                                         f"{name}: {expression}")
                self.assertLessEqual(grouped(expression), known,
                                     f"{name}: {expression}")
                asked |= set(metrics)
        self.assertGreater(len(asked), 40)

    def test_each_variable_is_a_label_that_is_served(self):
        served = self.served()
        for name, board in boards().items():
            variables = [v for v in board["templating"]["list"]
                         if v["type"] == "query"]
            self.assertTrue(variables, name)
            for variable in variables:
                match = re.fullmatch(
                    r"label_values\((\w+)(?:\{.*\})?, (\w+)\)",
                    variable["query"]["query"])
                metric, label = match.groups()
                self.assertIn(label, served[metric] | ADDED)
            used = set(re.findall(r"\$(\w+)", " ".join(expressions(board))))
            self.assertLessEqual(used - {"__rate_interval"},
                                 {v["name"] for v in variables}, name)

    def test_what_is_not_served_would_be_found(self):
        self.assertEqual({"reeve_up": {"cell"}, "reeve_down": set()},
                         metrics_of('max by (cell) (rate(reeve_up{cell=~'
                                    '"(a|b){2}"}[5m])) - sum(reeve_down)'))

    def test_panels_have_ids_of_their_own_and_do_not_overlap(self):
        uids = [board["uid"] for board in boards().values()]
        self.assertEqual(len(uids), len(set(uids)))
        self.assertEqual(2, len(uids))
        for name, board in boards().items():
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(ids), len(set(ids)), name)
            taken = set()
            for panel in board["panels"]:
                at = panel["gridPos"]
                cells_of = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                            for y in range(at["y"], at["y"] + at["h"])}
                self.assertFalse(taken & cells_of, panel["title"])
                self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
                taken |= cells_of


if __name__ == "__main__":
    sys.exit(cells.main())
