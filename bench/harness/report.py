"""What was measured, as tables for people."""

from harness.figures import OURS, YARDSTICK, metric_of

LIMITED_SHARE = 0.9  # of its core that a broker uses when it is the limit


def number(value):
    """Three significant digits, thousands grouped."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 3
    for limit in (1, 10, 100):
        if abs(value) >= limit:
            digits -= 1
    return f"{value:.{digits}f}"


def cell(found):
    return "-" if not found else f'{number(found["median"])} ±{number(found["mad"])}'


def ratio_cell(found):
    if not found:
        return "-"
    return f'{number(found["median"])} ({number(found["min"])}..{number(found["max"])})'


def table(title, head, rows):
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row):
        first, *rest = row
        return "  ".join([first.ljust(widths[0]),
                          *(text.rjust(width) for text, width in zip(rest, widths[1:]))]).rstrip()

    return "\n".join([title, "", line(head), line(["-" * width for width in widths]),
                      *map(line, rows)]) + "\n"


def state(entry, broker, text):
    """Marks what was lost or failed: a figure of such a run is not one."""
    if broker not in entry["brokers"]:
        return "-"  # it cannot do that
    runs = entry["brokers"][broker]["runs"]
    if all(run.get("failure") for run in runs):
        return "failed"
    return text if entry["brokers"][broker]["sound"] else text + " !"


def metric_table(title, summary, brokers, metric, mark=None):
    """One metric of all brokers, then Mitu against each of the others and each against the relay."""
    pairs = [(OURS, other) for other in brokers if other not in (OURS, YARDSTICK)
             and OURS in brokers]
    pairs += [(name, YARDSTICK) for name in brokers if name != YARDSTICK and YARDSTICK in brokers]
    head = ["", *brokers, *(f"{a} / {b}" for a, b in pairs)]
    rows = []
    for entry in summary:
        if not any(metric_of(entry, broker, metric) for broker in brokers):
            continue
        cells = []
        for broker in brokers:
            text = cell(metric_of(entry, broker, metric))
            cells.append(state(entry, broker, text + (mark(entry, broker) if mark else "")))
        ratios = [ratio_cell(entry["ratios"].get(f"{a} / {b}", {}).get(metric)) for a, b in pairs]
        rows.append([entry["name"], *cells, *ratios])
    return table(title, head, rows)


def mark_idle(entry, broker):
    """A star where the broker had CPU time left, so that its rate is the generator's."""
    share = metric_of(entry, broker, "broker_share")
    return "" if not share or share["median"] >= LIMITED_SHARE else "*"


def latency_table(summary, brokers):
    head = ["", *(f"{broker} {label}" for broker in brokers
                  for label in ("p50", "p99", "p99.9", "max"))]
    rows = []
    for entry in summary:
        if not any(metric_of(entry, broker, "p99_us") for broker in brokers):
            continue
        cells = []
        for broker in brokers:
            group = [metric_of(entry, broker, metric)
                     for metric in ("p50_us", "p99_us", "p999_us", "max_us")]
            cells += [number(found["median"]) if found else "-" for found in group]
        rows.append([entry["name"], *cells])
    return table("Latency, microseconds from when a message was due until it was read: medians",
                 head, rows)


def kept_up(entry, broker):
    """Whether every run delivered what was offered, within 5 %, and had nothing waiting to be sent."""
    offered = next((float(word.split("=")[1]) for word in entry["arguments"]
                    if word.startswith("--rate=")), 0)
    for run in entry["brokers"][broker]["runs"]:
        copies = run["parameters"]["clients"] if run.get("scenario") in ("fan-out", "slow") else 1
        if run.get("failure") or run["delivered_per_s"] < 0.95 * offered * copies:
            return False
    return True


def remarks(summary, brokers):
    """What a reader must know before believing the tables."""
    lines = []
    disturbed = total = 0
    for entry in summary:
        for broker in brokers:
            by_broker = entry["brokers"].get(broker)
            if by_broker is None:
                continue
            if not by_broker["sound"]:
                worst = next(run for run in by_broker["runs"] if not run.get("ok"))
                why = worst.get("failure") or f'{worst["verification"]}'
                lines.append(f"! {entry['name']}, {broker}: {why}")
            elif not kept_up(entry, broker):
                lines.append(f"! {entry['name']}, {broker}: did not keep up with the offered rate")
            for run in by_broker["runs"]:
                total += 1
                disturbed += run.get("other_cores_busy", 0) + run.get("cores_stolen", 0) > 0.1
    if disturbed:
        lines.append(f"{disturbed} of {total} runs shared the machine with other work (more than a "
                     "tenth of a core): trust ratios before times, and none of them too much")
    return lines


def tables(summary, brokers, repeat):
    def of(*kinds):
        return [entry for entry in summary if entry["arguments"][0] in kinds]

    traffic = of("fan-in", "fan-out", "pairs", "shared", "slow")
    fixed = [entry for entry in traffic if any("--rate=" in word for word in entry["arguments"])]
    by_window = [entry for entry in traffic if entry not in fixed]
    saturated = [entry for entry in by_window if "--window=1" not in entry["arguments"]]
    note = f"median ±median absolute deviation of {repeat} runs; ratios: median (least..greatest)"
    parts = [
        metric_table(f"Broker's CPU, microseconds per delivered message; {note}", by_window,
                     brokers, "cpu_us"),
        metric_table(f"Messages delivered per second; {note}; * the broker had CPU time left",
                     saturated, brokers, "per_s", mark_idle),
        latency_table([entry for entry in traffic + of("heartbeat")
                       if "--window=1" in entry["arguments"] or entry not in by_window], brokers),
        metric_table(f"Broker's CPU at fixed rates, microseconds per message; {note}", fixed,
                     brokers, "cpu_us"),
        metric_table(f"Heartbeats, microseconds of the broker's CPU for one PING and one PUBLISH; "
                     f"{note}", of("heartbeat"), brokers, "cpu_us"),
        metric_table(f"Log-ins per second of the broker's CPU: each connects, shakes hands where there "
                     f"is TLS, sends CONNECT, and ends; {note}", of("handshake"), brokers,
                     "logins_per_core_s"),
        metric_table(f"Connections, microseconds of the broker's CPU to set one up; {note}",
                     of("connect"), brokers, "cpu_us"),
        metric_table(f"Connections, bytes (PSS) of one that idles; {note}", of("connect"), brokers,
                     "bytes_per_connection"),
        metric_table("Connections, share of a core while all idle", of("connect"), brokers,
                     "idle_share"),
        metric_table(f"Slow subscribers, growth of the broker's memory (PSS) at its peak, bytes; "
                     f"{note}", of("slow"), brokers, "peak_growth_bytes"),
        metric_table("Slow subscribers, growth of the broker's memory when they have caught up, "
                     "bytes", of("slow"), brokers, "left_bytes"),
        metric_table("Slow subscribers, messages that they got in the end", of("slow"), brokers,
                     "slow_received"),
        metric_table(f"Wildcard filters, microseconds of the broker's CPU per publish (a hit goes to "
                     f"two subscribers); {note}", of("filters"), brokers, "cpu_us"),
        metric_table(f"Wildcard filters, bytes (PSS) of one with one subscriber; {note}",
                     of("filters"), brokers, "bytes_per_filter"),
        metric_table("Wildcard filters, microseconds of the broker's CPU to subscribe to one",
                     of("filters"), brokers, "store_us"),
        metric_table(f"Retained messages, microseconds of the broker's CPU to deliver one; {note}",
                     of("retained"), brokers, "cpu_us"),
        metric_table("Retained messages, microseconds of the broker's CPU to set one",
                     of("retained"), brokers, "store_us"),
        metric_table(f"Retained messages, bytes (PSS) of one; {note}", of("retained"), brokers,
                     "bytes_per_retained"),
    ]
    return "\n".join(part for part in parts if part)
