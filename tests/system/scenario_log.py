"""The log of a cell as a scenario looks at it."""
import collections
import dataclasses


@dataclasses.dataclass
class Session:
    """As the log tells of it."""
    number: int
    name: str
    command: str
    real: bool
    tasks: int
    attempt: int = 0
    ends: list = dataclasses.field(default_factory=list)


class Log:
    """The events of a log, folded."""

    def __init__(self, events):
        self.sessions = {}  # by number
        self.by_command = collections.defaultdict(list)  # (seq, number)
        self.by_name = collections.defaultdict(list)  # numbers
        self.starts = collections.Counter()  # of (session, attempt, rank)
        self.kinds = collections.Counter()
        self.gaps = []
        self.head = 0
        for event in events:
            self.take(event)

    def take(self, event):
        if event["seq"] != self.head + 1:
            self.gaps.append((self.head, event["seq"]))
        self.head = event["seq"]
        kind, body = event["body_type"], event["body"]
        self.kinds[kind] += 1
        if kind == "session_submitted":
            spec = body["spec"]
            number = body["session"]
            self.sessions[number] = Session(
                number, spec["name"], event["command_id"],
                not spec["simulated"], spec["tasks"])
            self.by_command[event["command_id"]].append(
                (event["seq"], number))
            self.by_name[spec["name"]].append(number)
        elif kind == "session_placed":
            self.sessions[body["session"]].attempt = body["attempt"]
        elif kind == "session_ended":
            self.sessions[body["session"]].ends.append(body["state"])
        elif kind == "task_started":
            self.starts[body["session"], body["attempt"],
                        body.get("rank", 0)] += 1
