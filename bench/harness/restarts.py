"""Scenarios in which the broker ends and comes again: sessions that are away, and a fleet that comes back."""

import copy
import pathlib
import threading
import time

from harness import brokers as broker_kinds

# What the server did a moment ago is over, and memory that was for that has been given back.
SETTLE_SECONDS = 3
PATIENCE_SECONDS = 120


def worker_of(pid):
    """The process that serves: the child of a supervisor, or the process itself."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


def fixed(broker):
    """The same broker on a port that it keeps."""
    broker = copy.copy(broker)
    broker.port = broker_kinds.free_port()
    return broker


def generator_words(bench, scenario, port, *words):
    return [str(bench.generator), *scenario.arguments(), f"--port={port}",
            f"--patience={PATIENCE_SECONDS}", *words]


class Restarter:
    """Starts a broker again as soon as it has ended, as a supervisor does."""

    def __init__(self, broker, running, start):
        self.running = running
        self.broker = broker
        self.start = start
        self.is_over = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while True:
            self.running.process.wait()
            if self.is_over:
                return
            self.running.process = self.start()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.running.stop()
        self.thread.join()


def offline(bench, broker, scenario, folder, cores):
    """Sessions are made and left, and messages sent to them; then the server is started again. The
    report is that of the first part; `figures` and `restarted` have what the second part saw."""
    broker = fixed(broker)
    running = broker.start(folder, cores, scenario)
    try:
        filled = bench.generate(generator_words(
            bench, scenario, broker.port, "--phase=fill", f"--broker-pid={worker_of(running.pid)}",
            f"--warmup={SETTLE_SECONDS}"), cores, scenario.seconds_spare)
        if filled.get("failure"):
            return filled
        running.stop()
        begin_ns = time.monotonic_ns()
        running.process = broker.launch(folder, cores, scenario)
        restarted = bench.generate(generator_words(
            bench, scenario, broker.port, "--phase=back", f"--broker-pid={running.pid}",
            f"--warmup={SETTLE_SECONDS}", f"--begin-ns={begin_ns}"), cores, scenario.seconds_spare)
    finally:
        running.stop()
    filled["ok"] = filled["ok"] and restarted["ok"]
    if restarted.get("failure"):
        filled["failure"] = "after the start: " + restarted["failure"]
        return filled
    before = filled["memory"]["pss_before_bytes"]
    filled["restarted"] = restarted
    filled["figures"] |= restarted["figures"]
    filled["figures"]["filled_bytes_per_session"] = filled["memory"]["bytes_per_session"]
    filled["figures"]["restarted_bytes_per_session"] = (
        (restarted["memory"]["pss_after_bytes"] - before) / scenario.count)
    return filled


def comeback(bench, broker, scenario, folder, cores):
    """The process that serves is killed under a fleet. Its supervisor starts it again, or we do."""
    broker = fixed(broker)
    broker.is_supervised = True  # if it can be
    running = broker.start(folder, cores, scenario)
    worker = worker_of(running.pid)
    words = generator_words(bench, scenario, broker.port, f"--kill={worker}", "--warmup=0",
                            f"--seconds={bench.seconds:g}")
    if worker != running.pid:
        try:
            report = bench.generate(words, cores, scenario.seconds_spare)
        finally:
            running.stop()
    else:
        with Restarter(broker, running, lambda: broker.launch(folder, cores, scenario)):
            report = bench.generate(words, cores, scenario.seconds_spare)
    report["restarted_by"] = "its supervisor" if worker != running.pid else "the harness"
    return report


RUNS = {"offline": offline, "comeback": comeback}
