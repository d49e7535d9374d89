"""Medians, spread and ratios of the runs."""

import statistics

OURS = "mitu"
YARDSTICK = "null relay"
BARE = f"{OURS} bare"  # mitud with nothing switched on


def is_ours(name):
    """Variants of mitud are named mitu NAME."""
    return name in (OURS, YARDSTICK) or name.startswith(f"{OURS} ")


def is_at_rate(entry):
    return any(word.startswith("--rate=") for word in entry["arguments"])


def has_wire(entry):
    """Over TLS, WebSocket, or both."""
    return any(word.startswith(("--tls=", "--websocket")) for word in entry["arguments"])


def is_kept(entry):
    """What is sent is to survive; other brokers take part."""
    return "--keep-sessions" in entry["arguments"]


def split(summary):
    """Those in which messages are kept, and the others."""
    return ([entry for entry in summary if is_kept(entry)],
            [entry for entry in summary if not is_kept(entry)])


def is_one_at_a_time(entry):
    return "--window=1" in entry["arguments"]


def at(path):
    """A function that takes the value at `path` out of a run's report; None: it is not there."""
    def take(run):
        value = run
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return value
    return take


METRICS = {
    "cpu_us": at("broker_cpu_us_per_message"),
    "per_s": at("delivered_per_s"),
    "logins_per_core_s": at("logins_per_core_s"),
    "broker_share": at("broker_cpu_share"),
    "generator_share": at("generator_cpu_share"),
    "p50_us": at("latency_us.p50"),
    "p99_us": at("latency_us.p99"),
    "p999_us": at("latency_us.p999"),
    "max_us": at("latency_us.max"),
    "ack_p50_us": at("ack_latency_us.p50"),
    "ack_p99_us": at("ack_latency_us.p99"),
    "fsync_p50_us": at("fsync_us.p50"),
    "fsync_p99_us": at("fsync_us.p99"),
    "acks_per_fsync": at("acks_per_fsync.p99"),
    "syncs_per_1000": lambda run: run.get("syncs_per_message") and 1000 * run["syncs_per_message"],
    "bytes_per_connection": at("memory.bytes_per_connection"),
    "bytes_per_filter": at("memory.bytes_per_filter"),
    "bytes_per_retained": at("memory.bytes_per_retained"),
    "peak_growth_bytes": at("memory.peak_growth_bytes"),
    "left_bytes": at("memory.left_bytes"),
    "store_us": at("store.cpu_us_each"),
    "slow_received": at("slow.received"),
    "slow_closed": at("slow.closed_by_broker"),
    "idle_share": at("idle_cpu_share"),
}


# Of scenarios in which the broker ends and comes again, and what they mean.
RESTART_FIGURES = {
    "bytes_per_session_without_messages": "bytes (PSS) of a session that is away, nothing waits for it",
    "filled_bytes_per_session": "the same with its messages",
    "restarted_bytes_per_session": "the same after the server was started again",
    "first_served_s": "s from the start, or the kill, to the first CONNACK with a session",
    "first_message_s": "s from the start to the first message of that session",
    "first_has_all_s": "s from the start until it has all of them",
    "half_back_s": "s from the kill until half of them are back",
    "last_back_s": "s from the kill until all are back",
    "late_p99_s": "s from when a device wanted to be back until it was, 99 of 100",
    "late_max_s": "the same, the last",
    "backlog_drained_s": "s from the kill until all have all their messages",
    "device_drained_p99_s": "s from a device's CONNACK to its last message, 99 of 100",
    "device_drained_max_s": "the same, the longest",
    "early_wait_p99_s": "s that those who were back first waited for a PINGRESP, 99 of 100",
    "early_wait_max_s": "the same, the longest",
}
METRICS |= {name: at(f"figures.{name}") for name in RESTART_FIGURES}


# Shares are of a core, and the rest may well be 0 or less.
NO_RATIO = {"broker_share", "generator_share", "idle_share", "left_bytes", "slow_received",
            "slow_closed"}


def values(runs, metric):
    """The metric of each run, None where a run failed: places stay, so that turns can be paired."""
    return [None if run.get("failure") else METRICS[metric](run) for run in runs]


def spread(numbers):
    """Median, median absolute deviation, least and greatest; None when there is nothing."""
    known = [number for number in numbers if number is not None]
    if not known:
        return None
    median = statistics.median(known)
    return {"median": median, "mad": statistics.median(abs(n - median) for n in known),
            "min": min(known), "max": max(known), "runs": len(known)}


def ratio(runs, other_runs, metric):
    """The ratio of two brokers, turn by turn: what the machine does to one turn, it does to both."""
    pairs = zip(values(runs, metric), values(other_runs, metric))
    return spread([a / b if a is not None and b else None for a, b in pairs])


def metric_of(entry, broker, metric):
    return entry["brokers"].get(broker, {}).get("metrics", {}).get(metric)


def summarize(results):
    """Everything computed, as it is written to JSON."""
    summary = []
    for scenario, by_broker in results.items():
        entry = {"name": scenario.name, "arguments": scenario.arguments(), "brokers": {},
                 "ratios": {}}
        for name, runs in by_broker.items():
            metrics = {metric: spread(values(runs, metric)) for metric in METRICS}
            entry["brokers"][name] = {
                "metrics": {metric: found for metric, found in metrics.items() if found},
                "sound": all(run.get("ok") for run in runs),
                "runs": runs,
            }
            for other in by_broker:
                if other == name or not (name == OURS or other in (YARDSTICK, BARE)):
                    continue
                ratios = {metric: ratio(runs, by_broker[other], metric)
                          for metric in METRICS if metric not in NO_RATIO}
                entry["ratios"][f"{name} / {other}"] = {
                    metric: found for metric, found in ratios.items() if found}
        summary.append(entry)
    return summary
