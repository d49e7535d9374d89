"""What access checks, limits, tenants and metrics cost: mitud with one of them, and with all, beside
mitud without any."""

import statistics

from harness.figures import BARE, OURS
from harness.report import number, ratio_cell, table

METRICS = ("cpu_us", "bytes_per_connection")


def with_features(brokers):
    """[(name, its features)] of those that are compared with the bare one; all of them last."""
    if BARE not in brokers:
        return []
    found = [(name, about["features"]) for name, about in brokers.items()
             if name != BARE and about.get("features") and not about.get("words")
             and not about.get("durability")]
    return sorted(found, key=lambda one: len(one[1]))


def compare(summary, brokers):
    """Every scenario that the bare broker took part in, as it is written to JSON: ratios turn by turn;
    1.03 is 3 % more than bare."""
    columns = with_features(brokers)
    rows = []
    for entry in summary:
        if BARE not in entry["brokers"]:
            continue
        for metric in METRICS:
            ratios = {name: entry["ratios"].get(f"{name} / {BARE}", {}).get(metric)
                      for name, _ in columns}
            if any(ratios.values()):
                sound = all(entry["brokers"][name]["sound"] for name in (BARE, *ratios)
                            if name in entry["brokers"])
                rows.append({"scenario": entry["name"], "metric": metric, "ratios": ratios,
                             "sound": sound})
    return rows


TITLE = ("Price: CPU per message (or bytes) with each switched on alone, and with all of them (mitu), "
         "as a ratio to the bare broker; median (least..greatest)")


def head(rows):
    names = rows[0]["ratios"] if rows else []
    return ["", "", *(name.removeprefix(f"{OURS} ") if name != OURS else "all of them"
                      for name in names)]


def cells(row):
    """One line of the table, for people: texts."""
    unit = "CPU" if row["metric"] == "cpu_us" else "bytes"
    return [row["scenario"] + ("" if row["sound"] else " !"), unit,
            *map(ratio_cell, row["ratios"].values())]


def typical(rows):
    """A line that sums it up: the middle of the medians over all scenarios."""
    words = []
    for name in rows[0]["ratios"] if rows else []:
        medians = [row["ratios"][name]["median"] for row in rows
                   if row["metric"] == "cpu_us" and row["sound"] and row["ratios"][name]]
        if medians:
            label = name.removeprefix(f"{OURS} ") if name != OURS else "all of them"
            words.append(f"{label} {number(statistics.median(medians))}")
    return "median over the scenarios, CPU: " + ", ".join(words) if words else ""


def section(rows):
    return table(TITLE, head(rows), [cells(row) for row in rows]) + (
        f"\n{typical(rows)}\n" if rows else "")
