"""Runs scenarios against brokers, in turns, and keeps what the generator says."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from harness import brokers as broker_kinds
from harness import certificates, machine, restarts


SCRAPE_PERIOD_SECONDS = 1
SYNC_COUNTER = "mitu-count-syncs.so"


class Scraper:
    """Asks for /metrics once a second, as Prometheus would more rarely, while it is entered."""

    def __init__(self, port):
        self.port = port
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.count = 0

    def run(self):
        url = f"http://127.0.0.1:{self.port}/metrics"
        while not self.over.wait(SCRAPE_PERIOD_SECONDS if self.count else 0.2):
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    self.count += answer.status == 200 and len(answer.read()) > 0
            except OSError:
                pass

    def __enter__(self):
        if self.port is not None:
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        if self.port is not None:
            self.thread.join()


class Bench:
    """How a run is made: the generator, the cores, the durations."""

    def __init__(self, generator, cores, warmup, seconds, spin):
        self.generator = generator
        self.cores = cores
        self.warmup = warmup
        self.seconds = seconds
        self.spin = spin

    def run(self, broker, scenario):
        """One run of one broker: the generator's report; `failure` in it says what went wrong."""
        with tempfile.TemporaryDirectory(prefix="mitu-bench-") as parent:
            folder = broker_kinds.data_folder(parent, broker.name)
            variables = {"LD_PRELOAD": str(self.generator.parent / SYNC_COUNTER),
                         "MITU_SYNC_COUNTS": str(folder / "syncs")} if scenario.kept else {}
            try:
                cores = self.cores.of_broker(broker.cores_wanted)
                if scenario.restarts:
                    return restarts.RUNS[scenario.shape](self, broker, scenario, folder, cores)
                running = broker.start(folder, cores, scenario, variables)
            except (broker_kinds.StartFailure, OSError) as error:
                return {"ok": False, "failure": str(error)}
            try:
                return self.load(running, scenario, cores, folder)
            finally:
                running.stop()

    def load(self, running, scenario, broker_cores, folder):
        command = [str(self.generator), *scenario.arguments(),
                   *certificates.generator_words(scenario), f"--port={running.port}",
                   f"--broker-pid={running.pid}", f"--warmup={self.warmup:g}",
                   f"--seconds={self.seconds:g}", "--quiet"]
        if scenario.kept:
            command += [f"--sync-counts={folder / 'syncs'}", f"--disk={folder}"]
        # With few thousand connections and nothing to send, polling would only heat the room.
        # Polling would also take away a core that the broker wants, and hide how busy the
        # generator is, which says what a broker with several cores could do.
        polls = len(broker_cores) == 1 and not self.cores.shares(broker_cores)
        if self.spin and scenario.shape != "connect" and polls:
            command.append("--spin")
        busy_before, stolen_before = machine.busy_seconds()
        children_before = os.times()
        broker_before = running.cpu_seconds()
        begin = time.monotonic()
        with Scraper(running.http_port) as scraper:
            report = self.generate(command, broker_cores,
                                   self.warmup * 2 + self.seconds + scenario.seconds_spare)
        elapsed = time.monotonic() - begin
        if running.http_port is not None:
            report["scrapes"] = scraper.count
            if scraper.count == 0 and not report.get("failure"):
                report["ok"] = False
                report["failure"] = "/metrics did not answer"
        if running.process.poll() is not None:
            report["ok"] = False
            report["failure"] = (f"the broker ended with {running.process.returncode}\n"
                                 f"{running.log_tail()}")
        children = os.times()
        own = (children.children_user + children.children_system
               - children_before.children_user - children_before.children_system)
        busy, stolen = machine.busy_seconds()
        other = busy - busy_before - own - (running.cpu_seconds() - broker_before)
        report["other_cores_busy"] = max(0.0, other / elapsed)
        report["cores_stolen"] = (stolen - stolen_before) / elapsed
        return report


    def generate(self, command, broker_cores, seconds_max):
        """What the generator says at its end."""
        cores = self.cores.of_generator(broker_cores)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False,
                                  timeout=seconds_max,
                                  preexec_fn=lambda: os.sched_setaffinity(0, cores))
        except subprocess.TimeoutExpired:
            return {"ok": False, "failure": "the generator did not end in time"}
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {"ok": False, "failure": f"the generator ended with {done.returncode}: "
                                            f"{done.stderr.strip()}"}


def summary(report):
    """One run as a few words, for the progress line."""
    if report.get("failure"):
        return "FAILED: " + report["failure"].splitlines()[0]
    words = []
    if "memory" in report:
        words += [f'{value:,.0f} {key.replace("_", " ")}'
                  for key, value in report["memory"].items() if not key.startswith("pss_")]
    if "broker_cpu_us_per_message" in report:
        words.append(f'{report["broker_cpu_us_per_message"]:.3g} us')
    words += [f'{key.removesuffix("_s").replace("_", " ")} {value:.3g}{" s" if key.endswith("_s") else ""}'
              for key, value in report.get("figures", {}).items()]
    words.append(f'{report.get("delivered_per_s", 0):,.0f}/s')
    if "syncs_per_message" in report:
        words.append(f'{1000 * report["syncs_per_message"]:.3g} fsyncs per 1,000')
    if "latency_us" in report:
        words.append(f'p99 {report["latency_us"]["p99"]:,.0f} us')
    if not report["ok"]:
        words.append(f'UNSOUND {json.dumps(report["verification"])}')
    return ", ".join(words)


def measure(bench, scenarios, brokers, repeat, say):
    """All runs: {scenario: {broker: [report, ...]}}. Within a repeat the brokers take turns, and
    each repeat starts with another, so that drift of the machine meets all of them."""
    results = {}
    meant = {scenario: [broker for broker in brokers if broker.is_meant_for(scenario)]
             for scenario in scenarios}
    able = {scenario: [broker for broker in meant[scenario] if broker.cannot(scenario) is None]
            for scenario in scenarios}
    total = sum(min(repeat, scenario.turns_max) * len(able[scenario]) for scenario in scenarios)
    done = 0
    begin = time.monotonic()
    for scenario in scenarios:
        say(f"\n{scenario.name}")
        for broker in meant[scenario]:
            if broker not in able[scenario]:
                say(f"  left out: {broker.name}: {broker.cannot(scenario)}")
        runs = results[scenario] = {broker.name: [] for broker in able[scenario]}
        for turn in range(min(repeat, scenario.turns_max)):
            shift = turn % max(len(able[scenario]), 1)
            for broker in able[scenario][shift:] + able[scenario][:shift]:
                report = bench.run(broker, scenario)
                runs[broker.name].append(report)
                done += 1
                left = (time.monotonic() - begin) / done * (total - done)
                say(f"  [{done}/{total}, {left / 60:.0f} min left] {broker.name}: "
                    f"{summary(report)}")
    return results


def progress_to_stderr(text):
    print(text, file=sys.stderr, flush=True)
