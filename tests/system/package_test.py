"""The Debian package: made from the build, unpacked, and a cell is run from
what it holds. And the development install beside it, made and removed."""
import configparser
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import cell as cells
from cell import BIN, Cell, read

SOURCE = os.environ["REEVE_SOURCE"]
BUILD = os.path.dirname(BIN)
NEEDED = ("cpack", "dpkg-deb", "dpkg-shlibdeps", "file")
SKIPPED = 77


def output_of(*command, **how):
    done = subprocess.run(command, capture_output=True, text=True,
                          check=False, timeout=cells.PATIENCE_S, **how)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n"
                             f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def unit_of(path):
    """Sections of a systemd file; of keys that come twice the last counts."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(path)
    return unit


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="reeve-package-", dir="/var/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.base, ignore_errors=True)
        output_of("cpack", "-G", "DEB", "--config",
                  os.path.join(BUILD, "CPackConfig.cmake"), "-B", cls.base)
        made = [n for n in os.listdir(cls.base) if n.endswith(".deb")]
        assert len(made) == 1, made
        cls.package = os.path.join(cls.base, made[0])
        cls.root = os.path.join(cls.base, "root")
        cls.control = os.path.join(cls.base, "control")
        output_of("dpkg-deb", "-x", cls.package, cls.root)
        output_of("dpkg-deb", "-e", cls.package, cls.control)

    def path(self, name):
        return os.path.join(self.root, name.lstrip("/"))

    def field(self, name):
        return output_of("dpkg-deb", "-f", self.package, name).strip()

    def test_it_depends_on_the_libraries_that_its_programs_load(self):
        depends = self.field("Depends")
        for library in ("libc6", "libcaf-core", "libnats", "librocksdb"):
            self.assertRegex(depends, rf"\b{library}")
        self.assertEqual("nats-server", self.field("Recommends"))
        self.assertIn(self.field("Version"),
                      output_of(self.path("usr/bin/reeve"), "--version"))

    def test_each_program_lies_beside_the_others(self):
        lib = self.path("usr/lib/reeve")
        for program in ("reeve", "reeved", "reeve-keeper", "reeve-log"):
            self.assertTrue(os.access(os.path.join(lib, program), os.X_OK))
        self.assertEqual("../lib/reeve/reeve",
                         os.readlink(self.path("usr/bin/reeve")))
        # All users' tasks load it.
        library = os.stat(os.path.join(lib, "libreeve-gpu-share.so"))
        self.assertEqual(0o644, library.st_mode & 0o777)
        for folder, names, files in os.walk(self.root):
            self.assertEqual(0o755, os.stat(folder).st_mode & 0o777, folder)
        for program in os.listdir(lib):
            dynamic = output_of("readelf", "-d", os.path.join(lib, program))
            self.assertNotRegex(dynamic, "RPATH|RUNPATH", program)

    def test_its_change_log_has_all_changes_the_breaking_ones_first(self):
        page = read(self.path("usr/share/doc/reeve/CHANGELOG.md"))
        told = " ".join(page.split())
        kinds = ("breaking", "feature", "fix")
        places = []
        for fragment in sorted(
                glob.glob(os.path.join(SOURCE, "changes", "*.*.md")),
                key=lambda path: (kinds.index(path.split(".")[-2]), path)):
            text = " ".join(read(fragment).split()).replace("](../", "](")
            self.assertIn(text, told, fragment)
            places.append(told.index(text))
        self.assertEqual(sorted(places), places)
        # As docs/upgrade.md reads it before anything is installed.
        self.assertEqual(page, output_of(
            "bash", "-c", f"dpkg-deb --fsys-tarfile {self.package} | "
            "tar -xO --wildcards '*/CHANGELOG.md'"))

    def test_settings_and_data_are_none_of_its_files(self):
        self.assertEqual(["usr"], os.listdir(self.root))
        output_of(self.path("usr/bin/reeve"), "config", "check",
                  self.path("usr/share/doc/reeve/cell.toml.sample"))

    def test_a_benchmark_that_it_lacks_says_where_there_is_one(self):
        done = subprocess.run(
            [self.path("usr/bin/reeve"), "bench", "commit"],
            capture_output=True, text=True, check=False,
            timeout=cells.PATIENCE_S)
        self.assertEqual(4, done.returncode, done.stderr)
        self.assertIn("checkout", done.stderr)

    def test_its_scripts_parse(self):
        for name in ("postinst", "prerm", "postrm"):
            path = os.path.join(self.control, name)
            self.assertTrue(os.access(path, os.X_OK), name)
            output_of("sh", "-n", path)
        for name in ("bash-completion/completions/reeve",
                     "zsh/vendor-completions/_reeve"):
            output_of("bash", "-n", self.path(f"usr/share/{name}"))

    def test_the_service_starts_what_the_package_brings(self):
        unit = self.path("usr/lib/systemd/system/reeved.service")
        service = unit_of(unit)["Service"]
        program, _, data = service["ExecStart"].split()
        self.assertTrue(os.access(self.path(program), os.X_OK), program)
        self.assertEqual(f"REEVE_DATA=/var/lib/{service['StateDirectory']}",
                         service["Environment"])
        self.assertEqual("${REEVE_DATA}", data)
        page = unit_of(unit)["Unit"]["Documentation"]
        self.assertTrue(os.path.isfile(
            self.path(page.removeprefix("file://"))), page)

    def test_the_user_of_managers_is_one_that_the_package_makes(self):
        drop_in = self.path("usr/share/doc/reeve/examples/manager-only.conf")
        user = unit_of(drop_in)["Service"]["User"]
        self.assertRegex(read(self.path("usr/lib/sysusers.d/reeve.conf")),
                         rf"(?m)^u {user} ")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd")
    def test_systemd_finds_no_fault_in_the_units(self):
        root = os.path.join(self.base, "units")
        shutil.copytree(self.root, root, symlinks=True)
        # Those that it wants and comes after.
        system = os.path.join(root, "usr/lib/systemd/system")
        shutil.copytree("/usr/lib/systemd/system", system, symlinks=True,
                        dirs_exist_ok=True)
        for drop_in in (None, "manager-only.conf"):
            if drop_in:
                folder = os.path.join(root,
                                      "etc/systemd/system/reeved.service.d")
                os.makedirs(folder)
                shutil.copy(self.path("usr/share/doc/reeve/examples/"
                                      + drop_in), folder)
            done = subprocess.run(
                ["systemd-analyze", "verify", f"--root={root}", "--man=no",
                 "reeved.service"], capture_output=True, text=True,
                check=False, timeout=cells.PATIENCE_S)
            said = [line for line in (done.stdout + done.stderr).splitlines()
                    if "reeved.service" in line]
            self.assertEqual([], said)

    def test_a_cell_runs_from_it(self):
        cell = Cell()
        cell.bin = self.path("usr/bin")
        try:
            cell.up()
            told = cell.reeve("run", "--", "echo", "from a package")
            self.assertEqual("from a package\n", told.out)
            self.assertIn(os.path.join("usr", "lib", "reeve"),
                          cell.reeve("doctor", code=None).out)
            self.assertIn("unaltered", cell.reeve("log", "verify").out)
            program = os.readlink(f"/proc/{cell.daemon_pid()}/exe")
            self.assertEqual(self.path("usr/lib/reeve/reeved"), program)
        finally:
            words = cell.last_words()
            left = cell.stop()
        self.assertEqual([], left, words)
        cell.remove()


@unittest.skipUnless(
    BUILD == os.path.join(SOURCE, "build", "release"),
    "skipped: a development install is of the release build")
class DevelopmentInstallTest(unittest.TestCase):
    def setUp(self):
        would = output_of("ninja", "-C", BUILD, "-n", "reeve_installed")
        if "no work to do" not in would:
            self.skipTest("skipped: the build is not complete")
        self.base = tempfile.mkdtemp(prefix="reeve-dev-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.prefix = os.path.join(self.base, "a", "dev")
        self.addCleanup(subprocess.run, [self.script("delete-dev"), "--prefix",
                                         self.prefix], check=False,
                        capture_output=True)

    @staticmethod
    def script(name):
        return os.path.join(SOURCE, "deploy", name)

    def call(self, name, *arguments):
        return output_of(self.script(name), "--prefix", self.prefix,
                         *arguments)

    def in_shell(self, line):
        return output_of("bash", "-c", f". {self.prefix}/profile; {line}")

    def test_what_it_made_goes_away_and_nothing_else(self):
        self.call("install-dev", "--sim-nodes", "2")
        self.assertEqual(3, len(self.in_shell(
            "reeve nodes --json | grep -o '\"name\"'").split()))
        self.assertIn("_reeve", self.in_shell("complete -p reeve"))
        session = self.in_shell("reeve submit --name on -- sleep 300").strip()
        # Again: the daemon is another one, the session the same.
        before = read(f"{self.prefix}/cell/reeved.pid")
        self.call("install-dev", "--sim-nodes", "2")
        self.assertNotEqual(before, read(f"{self.prefix}/cell/reeved.pid"))
        self.assertRegex(self.in_shell("reeve ps"), rf"{session} +running")

        foreign = os.path.join(self.prefix, "share", "notes.txt")
        with open(foreign, "w", encoding="utf-8") as file:
            file.write("mine\n")
        told = self.call("delete-dev")
        self.assertIn(foreign, told)
        left = [os.path.join(folder, name)
                for folder, _, names in os.walk(self.base) for name in names]
        self.assertEqual([foreign], left)
        self.assertEqual(set(), cells.processes_of(self.base))

    def test_nothing_is_left_of_it(self):
        self.call("install-dev", "--sim-nodes", "1")
        self.call("delete-dev")
        self.assertEqual([], os.listdir(self.base))
        self.assertIn("nothing to do", self.call("delete-dev"))

    def test_a_directory_with_something_else_is_left_alone(self):
        os.makedirs(self.prefix)
        mine = os.path.join(self.prefix, "mine")
        with open(mine, "w", encoding="utf-8") as file:
            file.write("mine\n")
        for name in "install-dev", "delete-dev":
            done = subprocess.run(
                [self.script(name), "--prefix", self.prefix],
                capture_output=True, text=True, check=False,
                timeout=cells.PATIENCE_S)
            self.assertEqual(1, done.returncode)
            self.assertIn(self.prefix, done.stderr)
        self.assertEqual(["mine"], os.listdir(self.prefix))

    def test_a_manifest_that_names_other_files_is_refused(self):
        os.makedirs(self.prefix)
        other = os.path.join(self.base, "other")
        with open(other, "w", encoding="utf-8") as file:
            file.write("other\n")
        for line in (f"file {other}", f"file {self.prefix}/../../other",
                     f"dir {self.base}/b", "data /", "nonsense"):
            with open(os.path.join(self.prefix, "manifest"), "w",
                      encoding="utf-8") as file:
                file.write(line + "\n")
            done = subprocess.run(
                [self.script("delete-dev"), "--prefix", self.prefix],
                capture_output=True, text=True, check=False,
                timeout=cells.PATIENCE_S)
            self.assertEqual(1, done.returncode, line)
            self.assertTrue(os.path.exists(other), line)
        os.unlink(os.path.join(self.prefix, "manifest"))


if __name__ == "__main__":
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or cells.SLOWNESS > 1:
        print("skipped: a package is made of a release build, by",
              ", ".join(NEEDED))
        sys.exit(SKIPPED)
    sys.exit(cells.main())
