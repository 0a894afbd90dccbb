#!/usr/bin/env python3
"""Fails where docs/limits.md and the bounds of the code differ.

Each name in the page is one of the code and is named by a test; each bound
that a header names (`..._max`) stands on the page.

usage: bounds.py ROOT
"""

import re
import sys
from pathlib import Path

import tree

PAGE = Path("docs/limits.md")
PROGRAMS = ("schema", "cluster", "store", "bus", "gpu", "actors", "tools")
NAME = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`")
# What the page says of settings keys, states and events, and not of bounds.
NO_BOUND = {"deadline_passed", "log_reads_dropped"}
# Members that repeat a bound with a name of its own.
OF_ANOTHER = {"bytes_max"}
DECLARED = re.compile(r"\bconstexpr\s+[\w:<> ]+?\s(\w+_max)\s*[={;]")
WORD = re.compile(r"\w+")


def is_test(path):
    return path.stem.endswith("_test") or path.parts[:2] == ("tests", "system")


def names_of(text):
    """(line number, name) of each bound that the page names."""
    for match in NAME.finditer(text):
        if match.group(1) not in NO_BOUND:
            yield text.count("\n", 0, match.start()) + 1, match.group(1)


def check(root):
    files = tree.project_files(root)
    if PAGE not in files:
        return []
    page = tree.read(root, PAGE)
    code, tests, findings = set(), set(), []
    known = {name for _, name in names_of(page)}
    for path in files:
        text = tree.read(root, path) if tree.is_source(path) \
            or path.suffix in (".py", ".fbs") else None
        if not text:
            continue
        if is_test(path):
            tests |= set(WORD.findall(text))
            continue
        if path.parts[0] not in PROGRAMS:
            continue
        code |= set(WORD.findall(text))
        if path.suffix != ".hpp":
            continue
        bare = tree.code_only(text)
        for match in DECLARED.finditer(bare):
            if match.group(1) not in known | OF_ANOTHER:
                line = bare.count("\n", 0, match.start(1)) + 1
                findings.append(f"{path}:{line}: {match.group(1)} has no row "
                                f"in {PAGE}")
    seen = set()
    for line, name in names_of(page):
        if name in seen:
            continue
        seen.add(name)
        if name not in code:
            findings.append(f"{PAGE}:{line}: the code has no {name}")
        elif name not in tests:
            findings.append(f"{PAGE}:{line}: no test names {name}; write one "
                            "of what happens at it and one past it")
    return findings


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(tree.report(check(Path(sys.argv[1])), "bounds"))
