"""Which charts there are, and what is in each."""

import dataclasses

from harness.figures import split, has_wire, is_at_rate, is_one_at_a_time, metric_of
from harness.report import number
from harness.svg import Dot, dot_chart

SHAPES = {"fan-in": "fan-in", "fan-out": "fan-out", "pairs": "pairs",
          "shared": "shared subscriptions", "slow": "beside a slow subscriber"}


@dataclasses.dataclass(frozen=True)
class Chart:
    file: str
    title: str
    axis: str
    entries: list
    metric: str
    end: str | None = None  # where the whisker ends; None: it is the spread


def spread_dot(entry, name, metric):
    found = metric_of(entry, name, metric)
    if not found or found["min"] <= 0:
        return None
    return Dot(found["median"], found["min"], found["max"], number(found["median"]))


def range_dot(entry, name, metric, end):
    """From the median of one metric to that of another, p50 to p99 for example."""
    low, high = metric_of(entry, name, metric), metric_of(entry, name, end)
    if not low or not high or low["median"] <= 0:
        return None
    top = max(high["median"], low["median"])
    return Dot(low["median"], low["median"], top, f'{number(low["median"])}, {number(top)}')


def draw(chart, names):
    rows = []
    for entry in chart.entries:
        dots = {}
        for name in names:
            if not entry["brokers"].get(name, {}).get("sound"):
                continue  # a figure of a run that lost something is none
            dot = (range_dot(entry, name, chart.metric, chart.end) if chart.end
                   else spread_dot(entry, name, chart.metric))
            if dot:
                dots[name] = dot
        if dots:
            rows.append((entry["name"], dots))
    shown = [name for name in names if any(name in dots for _, dots in rows)]
    return dot_chart(chart.title, chart.axis, rows, shown)


def charts_of(everything):
    kept, summary = split(everything)

    def of(*kinds):
        return [entry for entry in summary if entry["arguments"][0] in kinds]

    cpu = "microseconds of the broker's CPU per delivered message (dot: median, line: least to greatest)"
    for kind, label in SHAPES.items():
        by_window = [entry for entry in of(kind) if not is_at_rate(entry) and not has_wire(entry)]
        saturated = [entry for entry in by_window if not is_one_at_a_time(entry)]
        yield Chart(f"cpu-{kind}", f"CPU per message: {label}", cpu, by_window, "cpu_us")
        yield Chart(f"throughput-{kind}", f"Throughput of one core: {label}",
                    "messages delivered per second (dot: median, line: least to greatest)",
                    saturated, "per_s")
    at_rate = [entry for entry in summary if is_at_rate(entry)]
    yield Chart("cpu-at-rates", "CPU per message at fixed rates", cpu, at_rate, "cpu_us")
    yield Chart("latency", "Latency at fixed rates",
                "microseconds from when a message was due until it was read "
                "(dot: p50, end of line: p99; medians)", at_rate, "p50_us", "p99_us")
    by_window = [entry for entry in kept if not is_at_rate(entry)]
    yield Chart("durability-throughput", "Durability: throughput beside mosquitto, which saves at intervals only",
                "messages per second (dot: median, line: least to greatest); mosquitto acknowledges before "
                "it saves", by_window, "per_s")
    yield Chart("durability-cpu", "Durability: CPU per message", cpu, by_window, "cpu_us")
    yield Chart("durability-latency", "Durability: PUBACK at fixed rates",
                "microseconds from when a message was due until its PUBACK (dot: p50, end of line: p99; "
                "medians)", [entry for entry in kept if is_at_rate(entry)], "ack_p50_us", "ack_p99_us")
    yield Chart("cpu-wires", "CPU per message over TLS and WebSocket", cpu,
                [entry for entry in of("pairs") if has_wire(entry)], "cpu_us")
    yield Chart("logins", "Log-ins per second of the broker's CPU",
                "connections set up, logged in and cut, per second of CPU "
                "(dot: median, line: least to greatest)", of("handshake"), "logins_per_core_s")
    yield Chart("cpu-filters", "CPU per publish beside very many wildcard filters",
                "microseconds of the broker's CPU per publish (dot: median, line: least to greatest)",
                of("filters"), "cpu_us")
    yield Chart("cpu-connect", "CPU to set up one connection",
                "microseconds of the broker's CPU (dot: median, line: least to greatest)",
                of("connect"), "cpu_us")
    yield Chart("cpu-retained", "CPU to deliver one retained message",
                "microseconds of the broker's CPU (dot: median, line: least to greatest)",
                of("retained"), "cpu_us")
    size = "bytes, PSS without mapped files (dot: median, line: least to greatest)"
    yield Chart("memory-connection", "Memory of one idle connection", size, of("connect"),
                "bytes_per_connection")
    yield Chart("memory-filter", "Memory of one wildcard filter with one subscriber", size,
                of("filters"), "bytes_per_filter")
    yield Chart("memory-retained", "Memory of one retained message of 64 B", size, of("retained"),
                "bytes_per_retained")
    yield Chart("memory-slow", "Growth of memory beside a slow subscriber, at its peak", size,
                of("slow"), "peak_growth_bytes")


def write(summary, names, folder):
    """Draws what there are figures for; removes what an earlier run drew and this one did not.
    Returns [(file name, title)]."""
    written = []
    for chart in charts_of(summary):
        path = folder / f"{chart.file}.svg"
        drawn = draw(chart, names)
        if drawn:
            path.write_text(drawn)
            written.append((path.name, chart.title))
        else:
            path.unlink(missing_ok=True)
    return written
