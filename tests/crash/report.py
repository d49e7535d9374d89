"""What a run has survived, as a table and as JSON; and what there is to see when it has not."""

import collections
import datetime
import json
import pathlib
import subprocess
import tempfile

import history as histories


class Report:
    def __init__(self, name):
        self.name = name
        self.counts, self.violations = collections.Counter(), collections.Counter()
        self.start_s = []

    def add(self, world, checker):
        self.counts["rounds"] += 1
        self.counts.update(world.faults)
        self.counts["starts"] += world.server.starts
        self.counts["sessions"] += len(checker.sessions)
        self.counts["connections accepted"] += checker.counts["connected"]
        messages = checker.messages.values()
        acknowledged = [m for m in messages if m.acknowledged_at is not None]
        self.counts["messages sent"] += len(messages)
        self.counts["messages acknowledged, QoS 1"] += sum(m.qos == 1 for m in acknowledged)
        self.counts["messages acknowledged, QoS 2"] += sum(m.qos == 2 for m in acknowledged)
        self.counts["messages sent again"] += sum(m.sent > 1 for m in messages)
        for name in (
            *("deliveries", "repeats of QoS 1", "repeats of QoS 2, recognised"),
            *("wills that came", "retained values compared"),
        ):
            self.counts[name] += checker.counts[name]
        self.violations.update(violation.kind for violation in checker.violations)
        self.start_s += world.server.start_s

    def rows(self):
        rows = list(self.counts.items())
        if self.start_s:
            ordered = sorted(self.start_s)
            rows.append(("start, median ms", round(1000 * ordered[len(ordered) // 2])))
            rows.append(("start, longest ms", round(1000 * ordered[-1])))
        rows += [(text, self.violations[kind]) for kind, text in histories.KINDS.items()]
        return rows

    def line(self):
        return ", ".join(f"{value:,} {name}" for name, value in list(self.counts.items())[:8]) + (
            f"; violations: {sum(self.violations.values())}"
        )

    def table(self):
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"| {'':{width}} | {'':>11} |", f"|{'-' * (width + 2)}|{'-' * 12}:|"]
        lines += [f"| {name:{width}} | {value:>11,} |" for name, value in rows]
        return f"{self.name}\n\n" + "\n".join(lines)

    def save(self, path, section):
        """Beside what other tests have written there."""
        if not path:
            return
        path = pathlib.Path(path)
        sections = json.loads(path.read_text()) if path.exists() else {}
        sections[section] = {
            "name": self.name,
            "date": datetime.date.today().isoformat(),
            "commit": commit(),
            "counts": dict(self.rows()),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(sections, indent=2) + "\n")


def commit():
    done = subprocess.run(
        ["git", "-C", str(pathlib.Path(__file__).parent), "rev-parse", "--short=9", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def violations(checker, per_kind=5):
    shown, of_kind = [], collections.Counter()
    for violation in checker.violations:
        of_kind[violation.kind] += 1
        if of_kind[violation.kind] <= per_kind:
            shown.append(f"  {violation.kind}: {violation.text}")
    return f"{dict(of_kind)}\n" + "\n".join(shown)


def keep(world, checker=None):
    """The history and the server's log, for whoever looks for the cause."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-crash-history-"))
    with (folder / "history.txt").open("w") as file:
        for event in world.history.events:
            file.write(
                f"{event.at:.4f} {event.client} {event.kind} {event.message} {event.topic} "
                f"qos={event.qos} flag={event.flag:d} id={event.packet_id} {event.data or ''}\n"
            )
    said = [*world.server.said, "", *world.server.process.lines]
    (folder / "mitud.log").write_text("\n".join(said) + "\n")
    if checker is not None:
        (folder / "violations.txt").write_text("\n".join(map(str, checker.violations)) + "\n")
    return folder


def tail(server, lines=30):
    return "\n".join(list(server.process.lines)[-lines:]) if server.process else ""
