"""The what-if page in a real browser: the figures, the charts and the users of
a simulated month with four more nodes. REEVE_SCREENSHOTS=DIR keeps pictures."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import chromium
from chromium import Browser

BIN, TESTS = os.environ["REEVE_BIN"], os.environ["REEVE_TESTS"]
PAGE_BYTES_MAX = 1_000_000
SKIPPED = 77
ODD_USER = "<img src=x>"  # one of simulated_month's


def reeve(*arguments):
    return subprocess.run([os.path.join(BIN, "reeve-log"), *arguments],
                          capture_output=True, text=True, check=True,
                          timeout=300).stdout


class WhatifPageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.TemporaryDirectory(prefix="reeve-whatif-")
        cls.log = os.path.join(cls.base.name, "log")
        cls.page = os.path.join(cls.base.name, "whatif.html")
        subprocess.run([os.path.join(TESTS, "simulated_month"), cls.log, "60",
                        "20000"], check=True, timeout=300)
        cls.told = json.loads(reeve(
            "whatif", "--log", cls.log, "--nodes", "+4", "--html", cls.page,
            "--json"))
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def tearDownClass(cls):
        cls.base.cleanup()

    def tearDown(self):
        self.assertEqual([], self.browser.complaints())
        self.assertEqual([], self.browser.fetched())

    def open(self, width=1400, height=1300, dark=False, page=None):
        self.browser.fresh(width, height, dark)
        self.browser.open(page or self.page)
        self.browser.wait_for("document.getElementById('title')?.textContent"
                              " || document.querySelector('.sorry')")
        self.settle()

    def settle(self):
        for _ in range(2):
            self.browser.run("new Promise(requestAnimationFrame)")

    def keep(self, name):
        folder = os.environ.get("REEVE_SCREENSHOTS")
        if folder:
            self.browser.screenshot(os.path.join(folder, name + ".png"))

    def text(self, element):
        return self.browser.run(
            f"document.getElementById('{element}').innerText")

    def rows(self, table):
        return json.loads(self.browser.run(
            "JSON.stringify([...document.querySelectorAll("
            f"'#{table} tbody tr')].map((row) => [...row.cells].map((cell) =>"
            " cell.innerText)))"))

    def box(self, selector):
        return json.loads(self.browser.run(
            "JSON.stringify(document.querySelector("
            f"'{selector}').getBoundingClientRect())"))

    def test_the_page_is_small_and_shows_the_figures_of_the_command(self):
        self.assertLess(os.path.getsize(self.page), PAGE_BYTES_MAX)
        self.open()
        self.keep("whatif")
        self.assertIn("60 nodes", self.text("range"))
        self.assertIn("64 nodes", self.text("range"))
        figures = {row[0]: row[1:] for row in self.rows("figures")}
        really, whatif = self.told["really"], self.told["whatif"]
        self.assertEqual(f"{really['slowdown']:.2f}",
                         figures["slowdown, mean"][0])
        self.assertEqual(f"{whatif['slowdown']:.2f}",
                         figures["slowdown, mean"][1])
        self.assertEqual(f"{whatif['use_pct']['gpu']:.1f} %",
                         figures["GPU use"][1])
        # Four more nodes: sessions wait less, and that is what is drawn.
        self.assertLess(whatif["waiting_s"]["mean"],
                        really["waiting_s"]["mean"])
        self.assertTrue(figures["waiting, mean"][2].startswith("-"))

    def test_pointing_at_a_chart_tells_of_both_sides(self):
        self.open()
        for chart, part in (("waits", "at most"), ("use", "2025-11"),
                            ("queue", "2025-11")):
            box = self.box(f"#{chart} svg")
            self.browser.mouse("mouseMoved", box["x"] + box["width"] / 2,
                               box["y"] + box["height"] / 2)
            self.settle()
            self.assertFalse(self.browser.run(
                "document.getElementById('facts').hidden"), chart)
            self.assertIn(part, self.text("facts"))
            self.assertEqual(2, self.browser.run(
                "document.querySelectorAll('#facts .mark').length"))
            if chart == "waits":
                self.keep("whatif_pointed")
        self.browser.mouse("mouseMoved", 3, 3)
        self.settle()
        self.assertTrue(self.browser.run(
            "document.getElementById('facts').hidden"))

    def test_use_is_of_gpus_or_of_cpus(self):
        self.open()
        path = "document.querySelector('#use path.line.was').getAttribute('d')"
        gpus = self.browser.run(path)
        self.browser.run("document.getElementById('show_cpu').click()")
        self.settle()
        self.assertNotEqual(gpus, self.browser.run(path))
        self.assertEqual("true", self.browser.run(
            "document.getElementById('show_cpu').getAttribute("
            "'aria-pressed')"))

    def test_users_are_text_and_can_be_sorted(self):
        self.open()
        users = self.rows("users")
        self.assertEqual(len(self.told["users"]), len(users))
        self.assertEqual([user["user"] for user in self.told["users"]],
                         [row[0] for row in users])
        self.assertIn(ODD_USER, [row[0] for row in users])
        self.assertEqual(0, self.browser.run(
            "document.querySelectorAll('img').length"))
        self.browser.run("document.querySelector('#users th button').click()")
        self.settle()
        names = [row[0] for row in self.rows("users")]
        self.assertEqual(sorted(names), names)
        self.browser.run(
            "document.querySelectorAll('#users th button')[4].click()")
        self.settle()
        waits = {user["user"]: user["whatif"]["waiting_s"]["mean"]
                 for user in self.told["users"]}
        shown = [waits[row[0]] for row in self.rows("users")]
        self.assertEqual(sorted(shown, reverse=True), shown)

    def test_dark_and_narrow_screens_are_served(self):
        self.open(dark=True)
        self.assertEqual("dark", self.browser.run(
            "document.documentElement.dataset.theme"))
        self.keep("whatif_dark")
        self.browser.run("document.getElementById('theme').click()")
        self.assertEqual("light", self.browser.run(
            "document.documentElement.dataset.theme"))
        self.browser.size(380, 1800)
        self.settle()
        self.keep("whatif_narrow")
        self.assertEqual(380, self.browser.run(
            "document.documentElement.scrollWidth"))
        box = self.box("#use svg")
        self.assertGreater(box["height"], 150)
        self.assertLess(box["x"] + box["width"], 380)

    def test_a_trace_without_dates_counts_from_its_start(self):
        trace = os.path.join(self.base.name, "trace.jsonl")
        page = os.path.join(self.base.name, "trace.html")
        with open(trace, "w", encoding="utf-8") as file:
            for i in range(40):
                file.write(json.dumps({"submit_at": i * 60, "gpus": 8,
                                       "duration": "10m"}) + "\n")
        reeve("whatif", "--trace", trace, "--format", "reeve", "--nodes", "2",
              "--html", page, "--quiet")
        self.open(page=page)
        self.assertIn("trace.jsonl", self.text("title"))
        self.assertNotIn("1970", self.text("range"))
        box = self.box("#use svg")
        self.browser.mouse("mouseMoved", box["x"] + box["width"] / 2,
                           box["y"] + 40)
        self.settle()
        self.assertIn("after", self.text("facts"))


if __name__ == "__main__":
    if not chromium.program():
        print("Chromium is not installed", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
