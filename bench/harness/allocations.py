"""Where messages lie: mitud with its batches beside mitud with a general allocator."""

import re
import shlex

from harness.figures import OURS, is_at_rate, is_one_at_a_time, metric_of
from harness.report import LIMITED_SHARE, kept_up, number, ratio_cell, table

# What batches are to be worth beside glibc's malloc: at least so many times its throughput, at most
# so much of its p99.
THROUGHPUT_LEAST = 1.4
P99_MOST = 0.25
# The aims are for glibc's malloc itself: no other library under it.
GLIBC_WORDS = ["--messages-in", "malloc"]
SATURATED = re.compile(r"(fan-in|pairs) ")

ALLOCATOR_VARIABLE = re.compile(r"(LD_PRELOAD|MALLOC_\w+|GLIBC_TUNABLES)=.*")
METRICS = ("per_s", "cpu_us", "p99_us", "p999_us")


def is_mode(words):
    """Whether a variant with these words differs in how it allocates."""
    split = shlex.split(words or "")
    return "--messages-in" in split or any(ALLOCATOR_VARIABLE.fullmatch(word) for word in split)


def modes_of(brokers):
    """{name: words} of the variants that are about allocation. `brokers`: as in the document."""
    return {name: about["words"] for name, about in brokers.items()
            if name.startswith(f"{OURS} ") and is_mode(about.get("words"))}


def has_latency(entry):
    """Behind a full window latency is only the window divided by the rate."""
    return is_at_rate(entry) or is_one_at_a_time(entry)


def is_limit(entry, name):
    """Whether the broker, and not the generator, set the rate."""
    share = metric_of(entry, name, "broker_share")
    return bool(share and share["median"] >= LIMITED_SHARE)


def aims_of(entry, words):
    """[(metric, least, most)] that batches are to reach in this scenario against this mode."""
    if shlex.split(words) != GLIBC_WORDS:
        return []
    if is_at_rate(entry):
        return [("p99_us", None, P99_MOST)]
    if SATURATED.match(entry["name"]) and not is_one_at_a_time(entry):
        return [("per_s", THROUGHPUT_LEAST, None)]
    return []


def verdict(entry, mode, metric, found, least, most):
    if found is None:
        return "not measured"
    if not all(entry["brokers"][name]["sound"] for name in (OURS, mode)):
        return "unsound"
    if metric == "per_s" and not is_limit(entry, OURS) and found["median"] < least:
        return "generator's limit"  # batches could do more, and nobody knows how much
    if least is not None:
        return "met" if found["median"] >= least else "missed"
    return "met" if found["median"] <= most and kept_up(entry, OURS) else "missed"


def compare(summary, brokers):
    """Batches against each mode, scenario by scenario, as it is written to JSON: ratios turn by
    turn, so that above 1 is more throughput, and below 1 less CPU and less delay."""
    rows = []
    for entry in summary:
        for mode, words in modes_of(brokers).items():
            if OURS not in entry["brokers"] or mode not in entry["brokers"]:
                continue
            found = dict(entry["ratios"].get(f"{OURS} / {mode}", {}))
            if is_at_rate(entry) or is_one_at_a_time(entry):
                found.pop("per_s", None)  # the rate is the offered one, or that of the round trip
            if not has_latency(entry):
                found.pop("p99_us", None)
                found.pop("p999_us", None)
            ratios = {metric: found[metric] for metric in METRICS if metric in found}
            if not ratios:
                continue
            rows.append({
                "scenario": entry["name"], "mode": mode, "words": words, "ratios": ratios,
                "broker_was_limit": {name: is_limit(entry, name) for name in (OURS, mode)},
                "aims": [{"metric": metric, "least": least, "most": most,
                          "verdict": verdict(entry, mode, metric, ratios.get(metric), least, most)}
                         for metric, least, most in aims_of(entry, words)],
            })
    return rows


HEAD = ["", "beside", "throughput", "CPU per message", "p99", "p99.9", "aim", ""]


def cells(row):
    """One line of the table, for people: texts."""
    texts = []
    for metric in METRICS:
        text = ratio_cell(row["ratios"].get(metric))
        # As in the table of rates: who had CPU time left did not show all it can do.
        if metric == "per_s" and text != "-" and not all(row["broker_was_limit"].values()):
            text += "*"
        texts.append(text)
    aims = ["throughput at least " + number(aim["least"]) if aim["least"] is not None
            else "p99 at most " + number(aim["most"]) for aim in row["aims"]]
    verdicts = [aim["verdict"] for aim in row["aims"]]
    return [row["scenario"], row["mode"], *texts, ", ".join(aims), ", ".join(verdicts)]


TITLE = ("Allocation modes: mitu (batches) as a ratio to mitud with a general allocator; median "
         "(least..greatest); * a broker had CPU time left")


def section(rows):
    return table(TITLE, HEAD, [cells(row) for row in rows])
