"""What it costs that acknowledged messages survive: Mitu with `none`, `async` and `sync` beside mosquitto,
which has them in memory and writes its whole database from time to time."""

from harness import report
from harness.brokers import Broker
from harness.figures import METRICS, RESTART_FIGURES, metric_of
from harness.ours import Mitu
from harness.peers import Mosquitto

LEVELS = ("none", "async", "sync")
RESTARTING = ("offline", "comeback")


class Durable(Mitu):
    """mitud with one durability for all. `mitu` itself has the default, and takes part elsewhere."""

    takes_part = Broker.KEPT_ONLY

    def __init__(self, bin_folder, level):
        super().__init__(bin_folder)
        self.durability = level
        self.name = f"{Mitu.name} {level}"

    def about(self):
        return {**super().about(), "durability": self.durability}


class Persistent(Mosquitto):
    """mosquitto with persistence. It acknowledges at once, and writes all it has afterwards."""

    takes_part = Broker.KEPT_ONLY

    def __init__(self, label, settings, means):
        super().__init__()
        self.name = f"{Mosquitto.name} {label}"
        self.settings = settings
        self.means = means

    def persistence(self, folder):
        return ["persistence true", f"persistence_location {folder}/", *self.settings]

    def about(self):
        return {**super().about(), "settings": self.settings, "means": self.means}


def brokers(bin_folder):
    return [*(Durable(bin_folder, level) for level in LEVELS),
            Persistent("autosave", ["autosave_interval 1", "autosave_on_changes false"],
                       "its least interval: all is written after more than a second has passed"),
            Persistent("on change", ["autosave_interval 1", "autosave_on_changes true"],
                       "all is written after each turn of its loop in which something changed; the "
                       "closest it has to `sync`, though what it acknowledged is not yet written")]


NOTES = (
    "sessions are kept (clean session off) for both sides of the pairs; `queued`: to sessions whose clients are "
    "away; `retained writes`: each replaces a retained message; per message: per acknowledged one, in pairs per "
    "delivered one",
    "Mitu: `none` keeps nothing, `async` acknowledges when it is written and syncs within 100 ms, `sync` "
    "acknowledges after the fsync",
    "mosquitto acknowledges before anything is written. It saves only at intervals, all of its database each "
    "time: `autosave` with autosave_interval 1, `on change` with autosave_on_changes and autosave_interval 1; "
    "without a word it has no persistence",
    "fsyncs are counted in the process (mitu-count-syncs.so, preloaded into every broker); a bare fsync is 4 "
    "KiB appended and fdatasync, on the same file system, for half a second before and after the load",
    "bytes of a session that is away are the growth of the process above what it had when idle, the store's "
    "cache and write buffers included; these do not grow with the sessions (store.cache_bytes and "
    "store.write_buffer_bytes, 64 MiB each; `a small store`: 8 and 16 MiB)",
)

COLUMNS = (
    ("Durability: messages per second", "per_s"),
    ("Durability: microseconds of the broker's CPU per message", "cpu_us"),
    ("Durability: fsyncs per 1,000 messages", "syncs_per_1000"),
)


def names_of(summary):
    """Brokers that took part, in the order of the columns."""
    found = dict.fromkeys(name for entry in summary for name in entry["brokers"])
    return list(found)


def rows_of(summary, names, metric):
    rows = []
    for entry in summary:
        cells = [report.state(entry, name, report.cell(metric_of(entry, name, metric)))
                 for name in names]
        if any(metric_of(entry, name, metric) for name in names):
            rows.append([entry["name"], *cells])
    return rows


LATENCY_HEAD = ["", "PUBACK p50", "p99", "bare fsync p50", "p99", "p99 / p99"]
LATENCY_METRICS = ("ack_p50_us", "ack_p99_us", "fsync_p50_us", "fsync_p99_us", "acks_per_fsync")
assert set(LATENCY_METRICS) <= set(METRICS)


def latency_rows(summary, names):
    rows = []
    for entry in summary:
        if not any(word.startswith("--rate=") for word in entry["arguments"]):
            continue
        for name in names:
            found = [metric_of(entry, name, metric) for metric in LATENCY_METRICS]
            if found[0]:
                rows.append([f"{entry['name']}, {name}",
                             *(report.number(one["median"]) if one else "-" for one in found)])
    return rows


RESTART_HEAD = ["", "Mitu", "least..greatest"]


def restart_rows(summary):
    rows = []
    for entry in summary:
        for name in names_of([entry]):
            for metric, means in RESTART_FIGURES.items():
                found = metric_of(entry, name, metric)
                if found:
                    text = report.state(entry, name, report.number(found["median"]))
                    rows.append([f"{entry['name']}: {means}", text,
                                 f'{report.number(found["min"])}..{report.number(found["max"])}'])
    return rows


def tables(everything):
    """Titles, heads and rows, for a terminal or for a page."""
    summary = [entry for entry in everything if entry["arguments"][0] not in RESTARTING]
    names = names_of(summary)
    found = [(title, ["", *names], rows_of(summary, names, metric)) for title, metric in COLUMNS]
    found.append(("Durability: microseconds from when a message was due until its PUBACK; medians",
                  LATENCY_HEAD, latency_rows(summary, names)))
    found.append(("Restarts, with sync",
                  RESTART_HEAD, restart_rows([one for one in everything if one not in summary])))
    return [one for one in found if one[2]]


def section(summary):
    found = tables(summary)
    if not found:
        return ""
    return "\n".join(report.table(*one) for one in found) + "".join(f"\n- {note}" for note in NOTES) + "\n"
