#!/usr/bin/env python3
"""Plants one violation at a time into a clean tree: each must be found."""

import shutil
import tempfile
import unittest
from pathlib import Path

import bounds
import format as format_check
import include_direction
import tidy

CLEAN = {
    "CMakeLists.txt": "project(demo)\n",
    "ARCHITECTURE.md": "Folders: `cluster/`, `store/`, `bus/`, `actors/`\n"
                       "(`agent/`), see `cluster/state.hpp`.\n",
    "cluster/CMakeLists.txt": "reeve_library(demo SOURCES state.cpp)\n",
    "cluster/state.hpp": "#pragma once\n\nint state();\n",
    "cluster/state.cpp": '#include "cluster/state.hpp"\n\n'
                         "int state() { return 1; }\n",
    "store/CMakeLists.txt": "reeve_library(demo SOURCES log.cpp)\n",
    "store/log.hpp": "#pragma once\n\nint log();\n",
    "store/log.cpp": '#include "store/log.hpp"\n\n#include <rocksdb/db.h>\n\n'
                     '#include "cluster/state.hpp"\n',
    "bus/CMakeLists.txt": "reeve_library(demo SOURCES bus.cpp)\n",
    "bus/bus.cpp": "#include <nats/nats.h>\n",
    "actors/CMakeLists.txt": "reeve_library(demo SOURCES agent/core.cpp\n"
                             "              agent/shell.cpp)\n",
    "actors/agent/core.cpp": '#include "cluster/state.hpp"\n',
    "actors/agent/shell.cpp": "#include <caf/all.hpp>\n",
}


class Planted(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="reeve-tidy-"))
        self.addCleanup(shutil.rmtree, self.root)
        for name, text in CLEAN.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def expect(self, check, *words):
        findings = check(self.root)
        self.assertEqual(len(findings), 1, findings)
        for word in words:
            self.assertIn(word, findings[0])

    def direction(self, name, text, *words):
        self.write(name, text)
        self.expect(include_direction.check, *words)

    def tidy(self, name, text, *words):
        self.write(name, text)
        self.expect(tidy.check, *words)

    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual(include_direction.check(self.root), [])
        self.assertEqual(tidy.check(self.root), [])

    def test_an_upward_include_is_found(self):
        self.direction("cluster/state.cpp", '#include "store/log.hpp"\n',
                       "cluster/state.cpp:1", "must not know store/")

    def test_neighbours_must_not_know_each_other(self):
        self.direction("bus/bus.cpp", '#include "store/log.hpp"\n',
                       "neighbours")

    def test_an_include_beside_the_file_is_found(self):
        self.direction("store/log.cpp", '#include "log.hpp"\n',
                       "not relative to the root")

    def test_a_program_must_not_include_tests(self):
        self.write("tests/support/files.hpp", "#pragma once\n")
        self.write("store/log_test.cpp", '#include "tests/support/files.hpp"\n')
        self.direction("store/log.cpp", '#include "tests/support/files.hpp"\n',
                       "store/log.cpp", "only tests")

    def test_a_thread_in_the_cluster_is_found(self):
        self.direction("cluster/state.hpp", "#pragma once\n#include <thread>\n",
                       "cluster/state.hpp:2", "<thread>")

    def test_a_framework_in_a_core_is_found(self):
        self.direction("actors/agent/core.cpp", "#include <caf/all.hpp>\n",
                       "<caf/all.hpp>")

    def test_a_framework_behind_another_header_is_found(self):
        self.write("actors/agent/wire.hpp",
                   "#pragma once\n#include <nats/nats.h>\n")
        self.direction("actors/agent/core.cpp",
                       '#include "actors/agent/wire.hpp"\n', "<nats/nats.h>",
                       "actors/agent/core.cpp -> actors/agent/wire.hpp")

    def test_a_clock_in_a_core_is_found(self):
        self.direction("actors/agent/core.cpp",
                       "auto t = std::chrono::steady_clock::now();\n", "now")

    def test_a_clock_in_a_comment_is_not_found(self):
        self.write("actors/agent/core.cpp", "// not steady_clock::now()\n")
        self.assertEqual(include_direction.check(self.root), [])

    def test_a_wide_line_is_found(self):
        self.tidy("bus/bus.cpp", "// " + "x" * 78 + "\n", "81 columns")

    def test_a_tab_is_found(self):
        self.tidy("bus/bus.cpp", "int a =\t1;\n", "a tab")

    def test_a_trailing_space_is_found(self):
        self.tidy("bus/bus.cpp", "int a; \n", "trailing space")

    def test_a_missing_last_newline_is_found(self):
        self.tidy("bus/bus.cpp", "int a;", "no newline")

    def test_unfinished_work_is_found(self):
        self.tidy("bus/bus.cpp", "// TO" "DO: the rest\n", "bus/bus.cpp:1")

    def test_a_path_of_one_machine_is_found(self):
        self.tidy("bus/bus.cpp", "// see /wo" "rk/notes\n", "one machine")

    def test_a_long_file_is_found(self):
        self.tidy("bus/bus.cpp", "int a;\n" * 801, "801 lines")

    def test_a_header_without_a_guard_is_found(self):
        self.tidy("store/log.hpp", "int log();\n", "#pragma once")

    def test_using_namespace_in_a_header_is_found(self):
        self.tidy("store/log.hpp", "#pragma once\nusing namespace std;\n",
                  "using namespace")

    def test_each_banned_call_is_found(self):
        for call in ("sprintf(b, f);", "std::strcpy(a, b);", "atoi(s);",
                     "rand();", "system(command);", "popen(c, m);",
                     "std::localtime(&t);", "assert(a);",
                     "std::cout << 1;", "mktemp(name);", "strtok(a, b);"):
            with self.subTest(call=call):
                self.tidy("bus/bus.cpp", call + "\n", "use ")

    def test_calls_that_look_banned_are_not_found(self):
        self.write("bus/bus.cpp",
                   "static_assert(1);\nself->system().spawn();\n"
                   "snprintf(b, n, f);\nint operand(int a);\n"
                   'auto s = "rand()";\n')
        self.assertEqual(tidy.check(self.root), [])

    def test_an_actor_that_sleeps_is_found(self):
        self.tidy("actors/agent/shell.cpp", "::sleep_for(x);\n", "timer")

    def test_a_header_that_nobody_includes_is_found(self):
        self.tidy("store/lost.hpp", "#pragma once\n", "nobody includes")

    def test_a_source_that_nobody_compiles_is_found(self):
        self.tidy("store/lost.cpp", "int a;\n", "no CMakeLists.txt")

    def test_a_folder_missing_from_the_architecture_is_found(self):
        self.tidy("gpu/CMakeLists.txt", "set(a b)\n", "folder gpu/")

    def test_a_stale_name_in_the_architecture_is_found(self):
        self.tidy("ARCHITECTURE.md", CLEAN["ARCHITECTURE.md"]
                  + "And `store/gone.hpp`.\n", "store/gone.hpp")

    def test_a_broken_script_is_found(self):
        self.tidy("store/broken.sh", "if true; then\n", "broken.sh")

    def bound(self, page, header, test):
        self.write("docs/limits.md", page)
        self.write("store/log.hpp", header)
        self.write("store/log_test.cpp", test)

    DECLARED = "#pragma once\n\nconstexpr std::size_t rows_max = 3;\n"

    def test_a_bound_with_its_row_and_its_test_is_clean(self):
        self.bound("| `rows_max` | 3 | rows |\n", self.DECLARED,
                   "check(rows_max);\n")
        self.assertEqual(bounds.check(self.root), [])

    def test_a_bound_without_a_row_is_found(self):
        self.bound("No bounds.\n", self.DECLARED, "check(rows_max);\n")
        self.expect(bounds.check, "store/log.hpp:3", "rows_max", "no row")

    def test_a_row_without_its_bound_is_found(self):
        self.bound("| `rows_max` | 3 | rows |\n", "#pragma once\n",
                   "check(rows_max);\n")
        self.expect(bounds.check, "docs/limits.md:1", "the code has no")

    def test_a_bound_without_a_test_is_found(self):
        self.bound("| `rows_max` | 3 | rows |\n", self.DECLARED, "int a;\n")
        self.expect(bounds.check, "docs/limits.md:1", "no test names rows_max")

    @unittest.skipUnless(shutil.which("clang-format-14"), "not installed")
    def test_a_badly_formatted_file_is_found(self):
        self.write("bus/bus.cpp", "int  a ;\n")
        self.expect(format_check.check, "bus/bus.cpp:1")


if __name__ == "__main__":
    unittest.main()
