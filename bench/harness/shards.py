"""Two shards beside one: what they cost on one core, and what they win on two."""

from harness.figures import (is_at_rate, is_one_at_a_time, metric_of, ratio)
from harness.report import LIMITED_SHARE, number, ratio_cell, table

# On one core two shards may cost so much more CPU a message; on two cores they are to deliver so much
# more than one shard does.
CPU_MOST = 1.3
THROUGHPUT_LEAST = 1.6

# What a rate means something for: the broker does as much as it can.
KINDS = ("fan-in", "fan-out", "pairs", "shared", "filters")


def pairs_of(brokers):
    """[(one, two, about two)]: mitud with one shard and with two, on the same cores.
    `brokers`: as in the document."""
    ours = [(name, about) for name, about in brokers.items()
            if about.get("shards") and not about.get("words")]
    return [(one, two, about) for one, about_one in ours for two, about in ours
            if about_one["shards"] == 1 and about["shards"] == 2
            and about_one["cores"] == about["cores"]]


def median(entry, name, metric):
    found = metric_of(entry, name, metric)
    return found["median"] if found else None


def possible(entry, one, shares):
    """How much more than one shard two could deliver at best, beside this generator.

    One shard that is the limit uses a core for a message in the time of which the generator uses
    the share g of one. On two cores that both share, two shards have done twice that when the
    generator has used 2g: 2 / (1 + g). A generator with a core of its own is the limit at 1 / g."""
    generator = median(entry, one, "generator_share")
    if generator is None or (median(entry, one, "broker_share") or 0) < LIMITED_SHARE:
        return None
    return 2 / (1 + generator) if shares else min(2.0, 1 / max(generator, 1e-9))


def judge_one_core(found):
    if found is None:
        return "not measured"
    return "met" if found["median"] <= CPU_MOST else "missed"


def judge_two_cores(found, most):
    if found is None:
        return "not measured"
    if found["median"] >= THROUGHPUT_LEAST:
        return "met"
    return "missed" if most is not None and most >= THROUGHPUT_LEAST else "no room"


def compare(summary, brokers):
    """Every scenario that two shards and one took part in, as it is written to JSON."""
    rows = []
    for one, two, about in pairs_of(brokers):
        for entry in summary:
            if (entry["arguments"][0] not in KINDS or is_at_rate(entry) or is_one_at_a_time(entry)
                    or one not in entry["brokers"] or two not in entry["brokers"]):
                continue
            runs, runs_one = (entry["brokers"][name]["runs"] for name in (two, one))
            cpu, rate = (ratio(runs, runs_one, metric) for metric in ("cpu_us", "per_s"))
            row = {"scenario": entry["name"], "one": one, "two": two, "cores": about["cores"],
                   "generator_cores": about["generator_cores"], "cpu_us": cpu, "per_s": rate,
                   "broker_share": {name: median(entry, name, "broker_share")
                                    for name in (one, two)},
                   "generator_share": {name: median(entry, name, "generator_share")
                                       for name in (one, two)}}
            if len(about["cores"]) == 1:
                row |= {"aim": "CPU", "verdict": judge_one_core(cpu)}
            else:
                shares = not set(about["cores"]).isdisjoint(about["generator_cores"])
                most = possible(entry, one, shares)
                row |= {"aim": "throughput", "possible": most,
                        "of_possible": rate["median"] / most if rate and most else None,
                        "verdict": judge_two_cores(rate, most)}
            if not all(entry["brokers"][name]["sound"] for name in (one, two)):
                row["verdict"] = "unsound"
            rows.append(row)
    return rows


HEAD = ["", "cores", "CPU per message", "throughput", "possible", "of that", "busy: one shard",
        "two shards", "generator", "aim", ""]
TITLE = "Shards: two as a ratio to one on the same cores; median (least..greatest)"


def share_text(value):
    return "-" if value is None else number(value)


def cells(row):
    """One line of the table, for people: texts."""
    aim = (f"CPU at most {number(CPU_MOST)}" if row["aim"] == "CPU"
           else f"throughput at least {number(THROUGHPUT_LEAST)}")
    return [row["scenario"], str(len(row["cores"])), ratio_cell(row["cpu_us"]),
            ratio_cell(row["per_s"]), share_text(row.get("possible")),
            share_text(row.get("of_possible")), share_text(row["broker_share"][row["one"]]),
            share_text(row["broker_share"][row["two"]]),
            " and ".join(share_text(row["generator_share"][row[name]]) for name in ("one", "two")),
            aim, row["verdict"]]


def section(rows):
    return table(TITLE, HEAD, [cells(row) for row in rows])
