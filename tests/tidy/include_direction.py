#!/usr/bin/env python3
"""Fails on an include that runs against the direction of the house.

schema <- cluster <- store, bus, gpu <- actors <- tools; tests may include
anything. What is pure (cluster/ and the cores in actors/) includes, directly
or through other project files, no framework, thread, clock, file or random
header, and calls no clock.

usage: include_direction.py ROOT
"""

import re
import sys
from pathlib import Path

import tree

LAYER = {"schema": 0, "cluster": 1, "store": 2, "bus": 2, "gpu": 2,
         "actors": 3, "tools": 4}

FORBIDDEN_HEADER = re.compile(
    r"^(caf/.*|nats(/.*|\.h)|rocksdb/.*|cuda.*|nvml.*|prometheus/.*|spdlog/.*"
    r"|boost/(asio|beast|thread|filesystem|random)[/.].*"
    r"|thread|mutex|shared_mutex|condition_variable|future|stop_token"
    r"|semaphore|barrier|latch|filesystem|fstream|iostream|random"
    r"|ctime|time\.h|csignal|signal\.h|unistd\.h|fcntl\.h|pthread\.h"
    r"|dlfcn\.h|stdio\.h|cstdio|sys/.*|linux/.*)$")

# A broken invariant prints its numbers before it traps.
PRINTS_LAST_WORDS = {(Path("cluster/check.hpp"), "cstdio")}

FORBIDDEN_CALL = re.compile(
    r"(::now\s*\(|\b(clock_gettime|gettimeofday|getenv|secure_getenv"
    r"|randombytes_\w+|random_device|s?rand)\s*[({]|\bstd::time\s*\()")


def is_test(path):
    return path.stem.endswith("_test") or path.parts[0] == "tests"


def is_pure(path):
    if is_test(path) or not tree.is_source(path):
        return False
    if path.parts[0] == "cluster":
        return True
    return path.parts[0] == "actors" and bool(
        re.match(r"(core|.*_core)([._-].*)?$|core_.*", path.stem))


def resolve(name, files):
    """The project's file that an include names, if it is in the tree."""
    path = Path(name)
    return path if path in files else None


def direction(path, line, name, files):
    """What is wrong with one quoted include, or None."""
    mine, theirs = path.parts[0], Path(name).parts[0]
    where = f"{path}:{line}:"
    if theirs not in LAYER and theirs not in ("tests", "web"):
        return (f'{where} "{name}" is not relative to the root of the '
                "repository; use <> for other libraries")
    if mine not in LAYER:
        return None
    if theirs == "tests":
        if is_test(path):
            return None
        return f"{where} includes {name}; only tests may include tests/"
    if theirs not in LAYER:
        return f"{where} includes {name}, which is no part of the programs"
    if LAYER[theirs] > LAYER[mine]:
        return f"{where} {mine}/ must not know {theirs}/ ({name})"
    if LAYER[theirs] == LAYER[mine] and theirs != mine:
        return (f"{where} {mine}/ and {theirs}/ are neighbours and must not "
                f"know each other ({name})")
    return None


def impurities(start, files, texts):
    """Forbidden headers and calls that a pure file reaches, with the way."""
    seen, queue = {start}, [(start, (str(start),))]
    while queue:
        path, way = queue.pop()
        through = " -> ".join(way)
        code = tree.code_only(texts[path])
        for match in FORBIDDEN_CALL.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            yield (f"{path}:{line}: {match.group().strip('( ')} in a pure "
                   f"file ({through}); take it as an argument")
        for line, _, name in tree.includes(texts[path]):
            target = resolve(name, files)
            if target is None:
                if (FORBIDDEN_HEADER.match(name)
                        and (path, name) not in PRINTS_LAST_WORDS):
                    yield (f"{path}:{line}: <{name}> is not for a pure file "
                           f"({through})")
            elif target not in seen and not is_pure(target):
                # A pure file answers for itself.
                seen.add(target)
                queue.append((target, way + (name,)))


def check(root):
    files = {p for p in tree.project_files(root) if tree.is_source(p)}
    texts = {p: tree.read(root, p) or "" for p in files}
    findings = []
    for path in sorted(files):
        for line, quote, name in tree.includes(texts[path]):
            if quote == '"':
                wrong = direction(path, line, name, files)
                if wrong:
                    findings.append(wrong)
        if is_pure(path):
            findings.extend(impurities(path, files, texts))
    return findings


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(tree.report(check(Path(sys.argv[1])), "include direction"))
