"""What Mitu is to reach, scenario by scenario, and whether it does."""

import dataclasses
import re

from harness.figures import OURS, YARDSTICK, is_at_rate, is_kept
from harness.report import kept_up, number, table

MOSQUITTO = "mosquitto"
SYNC = f"{OURS} sync"


@dataclasses.dataclass(frozen=True)
class Target:
    row: str       # as people call it
    scenario: str  # a regular expression for the whole name of the scenario
    most: float    # times what `against` has in the same turn; without it, in the metric's unit
    against: str | None = YARDSTICK
    metric: str = "cpu_us"
    broker: str = OURS
    quick: bool = True  # whether its scenario is among the quick ones


TARGETS = (
    Target("fan-in QoS 0, 64 B", r"fan-in 100:1 QoS 0, 64 B, v3\.1\.1", 5.0),
    Target("fan-in QoS 1, 64 B", r"fan-in 100:1 QoS 1, 64 B, v3\.1\.1", 6.0),
    Target("fan-out to 1000, 64 B", r"fan-out 1:1000 QoS 0, 64 B, v3\.1\.1", 1.45),
    Target("fan-out to 1000, 1 KiB", r"fan-out 1:1000 QoS 0, 1 KiB, v3\.1\.1", 1.45),
    Target("pairs QoS 0, 64 B", r"pairs 100 QoS 0, 64 B, v3\.1\.1", 3.2),
    Target("pairs QoS 1, 64 B", r"pairs 100 QoS 1, 64 B, v3\.1\.1", 2.9),
    Target("pairs QoS 2, 64 B", r"pairs 100 QoS 2, 64 B, v3\.1\.1", 2.5),
    Target("fan-out, one at a time", r"fan-out 1:1000 QoS 0, 64 B, one at a time", 1.3),
    Target("pairs (500) QoS 0, one at a time", r"pairs 500 QoS 0, 64 B, one at a time", 1.25),
    Target("pairs (500) QoS 1, one at a time", r"pairs 500 QoS 1, 64 B, one at a time", 1.2),
    Target("100,000 wildcard filters, hit", r"100,000 wildcard filters, hits", 0.12, MOSQUITTO),
    Target("100,000 wildcard filters, miss", r"100,000 wildcard filters, misses", 0.12, MOSQUITTO),
    Target("one connection set up", r"connect and idle [\d,]+", 1.1),
    Target("heartbeats (PING and 64 B)", r"heartbeats of [\d,]+ at .*", 1.15),
    Target("idle connection, bytes", r"connect and idle [\d,]+", 600, None,
           "bytes_per_connection"),
    Target("wildcard filter, bytes", r"100,000 wildcard filters, hits", 300, None,
           "bytes_per_filter"),
    Target("retained message of 64 B, bytes", r"100,000 retained, 64 B", 400, None,
           "bytes_per_retained"),
    *(Target(f"fsyncs per 1,000 messages, {label}", f"durable: {scenario}, 64 B", 50, None,
             "syncs_per_1000", SYNC)
      for label, scenario in (("pairs QoS 1", "pairs 100 QoS 1"), ("pairs QoS 2", "pairs 100 QoS 2"),
                              ("queued", "queued 100 QoS 1"),
                              ("retained writes", "retained writes 100 QoS 1"))),
    Target("PUBACK p99 in bare fsyncs' p99, sync", r"durable: pairs 100 QoS 1, 64 B at 10,000/s", 3, None,
           "acks_per_fsync", SYNC),
    Target("session away with 10 messages, bytes", r"durable: 1,000,000 sessions away, .*", 450, None,
           "filled_bytes_per_session", SYNC, quick=False),
    Target("the same after a start", r"durable: 1,000,000 sessions away, .*", 450, None,
           "restarted_bytes_per_session", SYNC, quick=False),
    Target("first served after a start, 100,000 sessions", r"durable: 100,000 sessions away, .*", 1.0, None,
           "first_served_s", SYNC),
    Target("first served after a kill", r"durable: [\d,]+ come back after a kill, .*", 0.3, None,
           "first_served_s", SYNC),
    Target("last back after it wanted to be", r"durable: [\d,]+ come back after a kill, .*", 1.0, None,
           "late_max_s", SYNC),
)


def latency_targets(summary):
    """CPU is not bought with delay: at each fixed rate p50 and p99 are at most mosquitto's."""
    for entry in summary:
        if not is_at_rate(entry) or is_kept(entry):
            continue
        for metric, label in (("p50_us", "p50"), ("p99_us", "p99")):
            yield Target(f"{label}, {entry['name']}", re.escape(entry["name"]), 1.0, MOSQUITTO,
                         metric)


def is_of(target, name):
    return re.fullmatch(target.scenario, name) is not None


def found_by(entry, target):
    """What Mitu has, as median and spread; None: it was not measured."""
    if target.against is None:
        return entry["brokers"].get(target.broker, {}).get("metrics", {}).get(target.metric)
    return entry["ratios"].get(f"{target.broker} / {target.against}", {}).get(target.metric)


def judge(summary):
    """Every target with what was found, as it is written to JSON."""
    judged = []
    for target in (*TARGETS, *latency_targets(summary)):
        entry = next((one for one in summary if is_of(target, one["name"])), None)
        found = found_by(entry, target) if entry else None
        parts = [target.broker] + ([target.against] if target.against else [])
        if found is None:
            verdict = "not measured"
        elif not all(entry["brokers"][name]["sound"] for name in parts):
            verdict = "unsound"
        else:
            # Who falls behind has not reached anything, whatever those that fell behind more say.
            reached = found["median"] <= target.most and kept_up(entry, target.broker)
            verdict = "met" if reached else "missed"
        judged.append({"row": target.row, "scenario": entry["name"] if entry else None,
                       "metric": target.metric, "against": target.against, "most": target.most,
                       "found": found, "verdict": verdict})
    return judged


UNITS = {"first_served_s": "s", "late_max_s": "s", "syncs_per_1000": "fsyncs", "acks_per_fsync": "times a bare fsync"}


def unit(row):
    if row["against"]:
        return f"times {row['against']}"
    if row["metric"].startswith("bytes_") or row["metric"].endswith("bytes_per_session"):
        return "bytes"
    return UNITS.get(row["metric"], row["metric"])


def cells(row):
    """One line of the table, for people: texts."""
    found = row["found"]
    value = number(found["median"]) if found else "-"
    spread = f'{number(found["min"])}..{number(found["max"])}' if found else "-"
    return [row["row"], value, spread, number(row["most"]), unit(row), row["verdict"]]


HEAD = ["", "Mitu", "least..greatest", "at most", "", ""]


def section(judged):
    """The table, and a line that counts."""
    if not judged:
        return ""
    counts = {}
    for row in judged:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    return table("Targets: medians", HEAD, [cells(row) for row in judged]) + f"\n{counted}\n"
