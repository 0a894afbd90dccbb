#!/usr/bin/env python3
"""Fails on what the house does not want in any of its files.

usage: tidy.py ROOT
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import tree

COLUMNS_MAX = 80
LINES_MAX = 800
TEXT_SUFFIXES = tree.SOURCE_SUFFIXES + (
    ".fbs", ".cmake", ".py", ".sh", ".toml", ".md", ".txt", ".json", ".service",
    ".supp", ".yml", ".ts", ".svelte", ".js", ".css", ".html")
NARROW_SUFFIXES = tree.SOURCE_SUFFIXES + (".fbs", ".cmake", ".py", ".sh",
                                          ".js", ".css")

# Spelled in parts, so that this file does not find itself.
UNFINISHED = re.compile(
    r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|\bfor no" r"w\b"
    r"|\bnot implemen" r"ted\b|\bplacehold" r"er\b(?!=|-shown)", re.IGNORECASE)
MACHINE_PATH = re.compile(
    r"(?<![\w./-])/(work|opt(?!/reeve)|root|home/\w+)/\w")

# call -> where it is banned (a pattern of paths) and what to use instead
BANNED = (
    (r"(?<![\w.>])(std::)?v?sprintf\s*\(", r"", "fmt::format"),
    (r"(?<![\w.>])(std::)?(strcpy|strcat)\s*\(", r"", "std::string"),
    (r"(?<![\w.>])(std::)?strtok\s*\(", r"", "std::string_view::find"),
    (r"(?<![\w.>])(std::)?(atoi|atol|atoll|atof)\s*\(", r"",
     "std::from_chars, which reports errors"),
    (r"(?<![\w.>])(std::)?s?rand\s*\(", r"",
     "a generator with a seed, passed as an argument"),
    (r"(?<![\w.>:])(std::|::)?system\s*\(\s*[^)\s]", r"", "posix_spawn"),
    (r"(?<![\w.>])popen\s*\(", r"", "posix_spawn with a pipe"),
    (r"(?<![\w.>])(tmpnam|mktemp)\s*\(", r"", "mkstemp or mkdtemp"),
    (r"(?<![\w.>])(std::)?(localtime|gmtime|ctime|asctime)\s*\(", r"",
     "gmtime_r"),
    (r"(?<!\w)assert\s*\(", r"", "REEVE_CHECK, which stays on in release"),
    (r"\bstd::(cout|cerr)\b", r"^(?!tools/|tests/|.*_test\.cpp$)",
     "the logger; only tools write to the terminal"),
    (r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(|(?<![\w.>])sleep\s*\(",
     r"^actors/(?!.*_test\.cpp$)", "a timer: an actor never blocks"),
)


def lines_of(root, path):
    """Findings that look at one line each."""
    text = tree.read(root, path)
    if text is None:
        yield f"{path}: not UTF-8"
        return
    narrow = path.suffix in NARROW_SUFFIXES or path.name == "CMakeLists.txt" \
        or text.startswith("#!")
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path}:{number}:"
        if narrow and len(line) > COLUMNS_MAX and "://" not in line:
            yield f"{where} {len(line)} columns; {COLUMNS_MAX} are the limit"
        if "\t" in line and path.suffix != ".tsv":
            yield f"{where} a tab; use spaces"
        if line.rstrip() != line:
            yield f"{where} trailing space or carriage return"
        unfinished = UNFINISHED.search(line)
        if unfinished:
            yield (f"{where} '{unfinished.group()}': finish it, or write what "
                   "is missing into an issue")
        if MACHINE_PATH.search(line):
            yield f"{where} a path of one machine"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at its end"
    length = text.count("\n")
    if length > LINES_MAX and path.suffix != ".md":
        yield f"{path}: {length} lines; split it by phase ({LINES_MAX} at most)"


def code_of(root, path):
    """Findings that look at C++ code without its comments and literals."""
    text = tree.read(root, path) or ""
    code = tree.code_only(text)
    header = path.suffix in (".hpp", ".h", ".cuh")
    if header and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield f"{path}: no '#pragma once'"
    for number, line in enumerate(code.split("\n"), 1):
        if header and re.search(r"\busing\s+namespace\b", line):
            yield f"{path}:{number}: 'using namespace' in a header"
        for call, place, instead in BANNED:
            match = re.search(call, line)
            if match and re.search(place, str(path)):
                name = match.group().strip("( ")
                yield f"{path}:{number}: {name}: use {instead}"


def unused(root, files):
    """Headers that nobody includes, sources that nobody compiles."""
    included, builds = set(), {}
    for path in files:
        text = tree.read(root, path) or ""
        if tree.is_source(path):
            included |= {n for _, q, n in tree.includes(text) if q == '"'}
        if path.name == "CMakeLists.txt" or path.suffix == ".cmake":
            builds.setdefault(path.parent, []).append(text)
    for path in files:
        if path.suffix in (".hpp", ".cuh", ".h"):
            if str(path) not in included:
                yield f"{path}: nobody includes it"
        elif path.suffix in (".cpp", ".cu", ".c", ".fbs"):
            texts = [t for p in path.parents for t in builds.get(p, [])]
            word = re.compile(rf"(?<![\w-]){re.escape(path.stem)}"
                              rf"(?![\w-])")
            if not any(word.search(t) for t in texts):
                yield f"{path}: no CMakeLists.txt names it"


def architecture(root, files):
    """The folders and files that ARCHITECTURE.md names against the tree."""
    page = Path("ARCHITECTURE.md")
    if page not in files:
        return
    text = tree.read(root, page)
    folders = {p for f in files for p in f.parents if p.parts}
    for folder in sorted(folders):
        hidden = any(part.startswith(".") for part in folder.parts)
        depth = 2 if folder.parts[0] == "actors" else 1
        if hidden or len(folder.parts) != depth:
            continue
        if not re.search(rf"(?<![\w-]){re.escape(folder.name)}/", text):
            yield f"{page}: does not name the folder {folder}/"
    known = {str(f) for f in files} | {str(f) for f in folders}
    for match in re.finditer(r"`([\w.-]+(?:/[\w.-]+)+/?)`", text):
        name = match.group(1).rstrip("/")
        top = name.split("/")[0]
        if Path(top) in folders and top != "build" and name not in known:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{page}:{line}: names {name}, which is not there"


def scripts(root, files):
    """Shell and Python files that do not parse."""
    for path in files:
        text = tree.read(root, path) or ""
        first = text.split("\n", 1)[0]
        if path.suffix == ".py" or re.match(r"#!.*\bpython3?\b", first):
            try:
                ast.parse(text)
            except SyntaxError as error:
                yield f"{path}:{error.lineno}: {error.msg}"
        elif path.suffix == ".sh" or re.match(r"#!.*\b(ba|da)?sh\b", first):
            done = subprocess.run(["bash", "-n", str(root / path)],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                yield f"{path}: {done.stderr.strip()}"


def check(root):
    files = tree.project_files(root)
    findings = []
    for path in files:
        text = path.suffix in TEXT_SUFFIXES or path.suffix == "" \
            or path.name == "CMakeLists.txt"
        if text and path.parts[0] != "LICENSE":
            findings.extend(lines_of(root, path))
        if tree.is_source(path):
            findings.extend(code_of(root, path))
    for part in (unused, architecture, scripts):
        findings.extend(part(root, files))
    return findings


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(tree.report(check(Path(sys.argv[1])), "tidy"))
