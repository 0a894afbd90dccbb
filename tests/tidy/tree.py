"""The files of the project, as the tidy tests see them."""

import re
import subprocess
from pathlib import Path

SOURCE_SUFFIXES = (".cpp", ".hpp", ".cu", ".cuh", ".c", ".h")
SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__"}


def project_files(root):
    """Paths of all files of the project, relative to its root, sorted.

    What git tracks where the root is a checkout, everything outside the build
    folder elsewhere (an unpacked archive, the trees of the self-tests).
    """
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z"],
        capture_output=True, check=False)
    if listing.returncode == 0 and (root / ".git").exists():
        names = [n for n in listing.stdout.decode().split("\0") if n]
        paths = [Path(n) for n in names]
    else:
        paths = [p.relative_to(root) for p in root.rglob("*")]
        paths = [p for p in paths if not SKIPPED_FOLDERS & set(p.parts)]
    return sorted(p for p in paths if (root / p).is_file())


def is_source(path):
    return path.suffix in SOURCE_SUFFIXES


def read(root, path):
    """The text of a file, or None where it is not text."""
    try:
        return (root / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


TOKEN = re.compile(
    r'R"(?P<tag>[^()\\\s]*)\((?:.|\n)*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])'|'\\[^'\n]+'"
    r"|//[^\n]*"
    r"|/\*(?:.|\n)*?\*/")


def code_only(text):
    """The text with comments and literals blanked, lines kept."""
    return TOKEN.sub(lambda m: '""' + "\n" * m.group().count("\n"), text)


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def includes(text):
    """(line number, '<' or '"', name) of each include."""
    for match in INCLUDE.finditer(text):
        yield (text.count("\n", 0, match.start(2)) + 1, match.group(1),
               match.group(2))


def report(findings, what):
    """Prints findings and returns the exit status of a test."""
    for finding in findings:
        print(finding)
    print(f"{what}: {len(findings)} found" if findings else f"{what}: clean")
    return 1 if findings else 0
