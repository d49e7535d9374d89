#!/usr/bin/env python3
"""The figures of docs/reliability.md, from what the crash tests have written.

    page.py update [REPORT]   takes REPORT (build/crash_report.json) over into docs/reliability.json, section by
                              section, and writes the tables of the page anew
    page.py check             the page says what docs/reliability.json has; else exit status 1

So no figure on the page is written by hand, and each section names its day and commit.
"""

import collections
import datetime
import json
import pathlib
import sys

import history

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs/reliability.md"
FIGURES = REPOSITORY / "docs/reliability.json"
BEGIN, END = "<!-- figures: tests/crash/page.py -->", "<!-- end of figures -->"

FAULTS = {
    "kills (SIGKILL)": "kills (SIGKILL) at random moments",
    "of them while it started": "of them while the server started",
    "kills at points": "kills at named points of the way to the disk",
    "writes torn at points": "writes torn there",
    "losses of power at points": "losses of power there (files cut back to what was synced)",
    "failed calls of the disk": "writes and syncs that failed",
    "pauses (SIGSTOP)": "pauses (SIGSTOP)",
    "connections cut": "connections cut",
    "logs cut": "logs with their end cut off",
    "logs with flipped bits": "logs with flipped bits",
    "tables damaged": "tables damaged",
    "disks filled": "full disks",
    "slow disks": "slow disks",
    "starts": "starts, all of them served",
    "starts refused by a failing disk": "starts that ended because the disk failed, with a reason",
}
SEEN = (
    *("sessions", "connections accepted", "messages acknowledged, QoS 1"),
    *("messages acknowledged, QoS 2", "messages sent again", "publishes refused (0x97)"),
    *("deliveries", "wills that came", "retained values compared"),
)


def tables(sections):
    """Shape  the lines between the marks; the same for the same figures."""
    total = collections.Counter()
    for section in sections.values():
        total.update(section["counts"])
    lines = ["| | counted |", "|---|---:|"]
    lines += [f"| {text} | {total[name]:,} |" for name, text in FAULTS.items()]
    lines += [f"| {name} | {total[name]:,} |" for name in SEEN]
    lines += [f"| **{text}** | **{total[text]:,}** |" for text in history.KINDS.values()]
    lines += ["", "| test | rounds | longest start | day | commit |", "|---|---:|---:|---|---|"]
    for section in sections.values():
        counts = section["counts"]
        lines.append(
            f"| {section['name']} | {counts['rounds']:,} | {counts['start, longest ms']:,} ms "
            f"| {section['date']} | {section['commit']} |"
        )
    slow = sections.get("slow_disk", {"counts": {}})["counts"]
    lines += ["", "| a disk whose syncs take 500 ms, publishers without restraint | |", "|---|---:|"]
    lines += [f"| {name} | {value:,} |" for name, value in slow.items() if is_of_slow_disk(name)]
    return lines


def is_of_slow_disk(name):
    return name.startswith(("memory grew", "taken from", "longest ", "PINGs", "QoS 0 messages meanwhile"))


def with_tables(page, lines):
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return "\n".join([head + BEGIN, *lines, END + tail])


def problems(sections):
    """What keeps figures from the page: they are not those of whole runs without violations."""
    found = []
    for name, section in sections.items():
        try:
            datetime.date.fromisoformat(section["date"])
        except (KeyError, ValueError):
            found.append(f"{name}: no date")
        broken = sum(section["counts"].get(text, 0) for text in history.KINDS.values())
        if broken:
            found.append(f"{name}: {broken} violations; find their cause first")
    return found


def main(arguments):
    action = arguments[0] if arguments else ""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if action == "update":
        report = pathlib.Path(arguments[1] if len(arguments) > 1 else REPOSITORY / "build/crash_report.json")
        figures.update(json.loads(report.read_text()))
    elif action != "check":
        print(__doc__)
        return 2
    found = problems(figures)
    page = PAGE.read_text()
    expected = with_tables(page, tables(figures))
    if action == "check" and page != expected:
        found.append(f"{PAGE}: differs from {FIGURES.name}; run tests/crash/page.py update")
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    if action == "update":
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
        PAGE.write_text(expected)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
