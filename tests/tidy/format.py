#!/usr/bin/env python3
"""Fails where clang-format 14 would write a source file another way.

usage: format.py ROOT
Exit status 77 (skipped) where clang-format-14 is not installed.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import tree

SKIPPED = 77


def check(root):
    files = [str(p) for p in tree.project_files(root) if tree.is_source(p)]
    if not files:
        return []
    done = subprocess.run(
        ["clang-format-14", "--dry-run", "-Werror", "--ferror-limit=1"]
        + files, cwd=root, capture_output=True, text=True, check=False)
    findings = [line for line in done.stderr.split("\n") if ": error:" in line]
    if done.returncode != 0 and not findings:
        findings = [done.stderr.strip()]
    return findings


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not shutil.which("clang-format-14"):
        print("clang-format-14 is not installed; deploy/packages installs it")
        sys.exit(SKIPPED)
    sys.exit(tree.report(check(Path(sys.argv[1])), "format"))
