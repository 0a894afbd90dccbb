"""Clients that submit all the time (ledger_client.cpp), and what each of them
was told."""
import os
import subprocess

import cell as cells


def credentials(cell):
    return os.path.join(cell.data, "bus", "client.json")


def start_client(cell, number, seconds, pause_ms=4):
    """The process and the path of its ledger."""
    path = os.path.join(cell.base, f"ledger-{number}")
    with open(path, "wb") as out, \
            open(path + ".errors", "wb") as errors:
        return subprocess.Popen(
            [*cell.prefix,
             os.path.join(os.environ["REEVE_TESTS"], "ledger_client"),
             credentials(cell), cell.work,
             str(seconds), str(number), str(pause_ms)],
            stdout=out, stderr=errors, env=cell.environment()), path


class Ledger:
    """The lines of one client, by command id: accepted as (sequence,
    session). `size`: of its first bytes alone."""

    def __init__(self, path, size=None):
        self.intents, self.accepted, self.rejected = set(), {}, {}
        self.unknown = 0
        for line in cells.read(path)[:size].splitlines():
            what, command, *rest = line.split()
            if what == "intent":
                self.intents.add(command)
            elif what == "accepted":
                self.accepted.setdefault(command, set()).add(
                    (int(rest[0]), int(rest[1])))
            elif what == "rejected":
                self.rejected[command] = rest
            else:
                self.unknown += 1
