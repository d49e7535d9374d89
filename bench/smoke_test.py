#!/usr/bin/python3
"""Every scenario of mitu-bench for a moment: against the null relay, and against mitud where it takes
a broker that matches topics, keeps messages or speaks TLS and WebSocket.
Usage: smoke_test.py BENCH RELAY MITUD SYNC_COUNTER"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import brokers, certificates, configuration, durability, machine  # noqa: E402
from harness import measure, restarts, scenarios  # noqa: E402

RELAY_RUNS = [
    ["connect", "--clients=50"],
    ["fan-in", "--clients=5"],
    ["fan-in", "--clients=5", "--qos=1", "--mqtt=5"],
    ["fan-out", "--clients=20", "--window=10", "--payload=1024"],
    ["fan-out", "--clients=20", "--rate=500", "--qos=2", "--mqtt=5"],
    ["pairs", "--clients=5", "--qos=2"],
    ["pairs", "--clients=5", "--window=1"],
    ["pairs", "--clients=5", "--rate=2000", "--qos=1"],
    ["heartbeat", "--clients=50", "--rate=1000"],
    ["shared", "--clients=3", "--publishers=2"],
    ["shared", "--clients=3", "--publishers=2", "--qos=2", "--mqtt=5"],
    ["slow", "--clients=3", "--slow-clients=2", "--payload=1024"],
    ["slow", "--clients=3", "--rate=2000", "--qos=1", "--slow-bytes=2000"],
    ["handshake", "--clients=4"],
]

# The null relay matches no topics and keeps no messages.
MITUD_RUNS = [
    ["filters", "--count=2000"],
    ["filters", "--count=2000", "--misses", "--mqtt=5"],
    ["retained", "--count=1000"],
    ["retained", "--count=1000", "--mqtt=5"],
    ["shared", "--clients=3", "--publishers=2", "--qos=1"],
    ["slow", "--clients=3", "--payload=1024", "--window=20", "--qos=1"],
    ["slow", "--clients=3", "--rate=2000", "--mqtt=5", "--slow-bytes=2000"],
]

# With each durability, on a store of its own.
DURABLE_RUNS = [
    ["set-retained", "--clients=3", "--qos=1"],
    ["queued", "--clients=3", "--qos=1", "--mqtt=5"],
    ["pairs", "--clients=3", "--qos=2", "--keep-sessions", "--rate=500"],
]

# Over each of scenarios.WIRES, with everything switched on.
WIRE_RUNS = [
    ["pairs", "--clients=5", "--qos=1"],
    ["fan-out", "--clients=5", "--window=10", "--payload=20000"],
    ["heartbeat", "--clients=50", "--rate=1000", "--keep-alive=5"],
    ["connect", "--clients=20"],
    ["handshake", "--clients=4"],
    ["storm", "--clients=100"],
]


def wait_for_port(path, process):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}")
        if path.exists():
            return json.loads(path.read_text())["mqtt"]
        time.sleep(0.01)
    sys.exit(f"{process.args[0]} named no port within 10 s")


def run_all(bench, broker, port_file, runs, variables=None, check=lambda run, result: None):
    process = subprocess.Popen([*broker, "--port-file", str(port_file)],
                               env={**os.environ, **(variables or {})})
    try:
        port = wait_for_port(port_file, process)
        for run in runs:
            command = [bench, *run, f"--port={port}", f"--broker-pid={process.pid}",
                       "--warmup=0.05", "--seconds=0.1", "--quiet"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            sys.stderr.write(done.stderr)
            result = json.loads(done.stdout) if done.stdout else {}
            if done.returncode != 0 or not result.get("ok") or result.get("delivered", 0) == 0:
                sys.exit(f"failed: {' '.join(run)}\n{done.stdout}")
            check(run, result)
            shown = " ".join(word for word in run if "/" not in word)
            print(f"ok  {shown:60} {result['delivered']} delivered")
    finally:
        process.terminate()
        process.wait(timeout=10)


def beside_a_sanitizer():
    """GCC's AddressSanitizer wants to be loaded first, and what is preloaded does not mind."""
    return {"ASAN_OPTIONS": f'{os.environ.get("ASAN_OPTIONS", "")}:verify_asan_link_order=0'.lstrip(":")}


def run_durable(bench, mitud, counter, folder):
    """Syncs are counted, and there are as many as the durability says."""
    for durability in ("none", "async", "sync"):
        print(durability)
        inner = folder / durability
        inner.mkdir()
        scenario = scenarios.Scenario(durability, "queued", 3, kept=True)
        words = configuration.write(inner, scenario, configuration.FEATURES, durability)
        counts = inner / "syncs"

        def check(run, result, durability=durability):
            if result["fsync_us"]["count"] == 0 or (durability == "sync") > (result["syncs"] > 0):
                sys.exit(f"failed: {durability}, {' '.join(run)}: {result}")
            if durability == "none" and result["syncs"] > 0:
                sys.exit(f"failed: {result['syncs']} syncs though nothing is kept")

        disk = [f"--disk={inner}", f"--sync-counts={counts}"]
        run_all(bench, [mitud, *words, "--shards", "2", "--log-level", "warn"], inner / "port.json",
                [run + disk for run in DURABLE_RUNS],
                {"LD_PRELOAD": counter, "MITU_SYNC_COUNTS": str(counts), **beside_a_sanitizer()}, check)


def run_restarts(bench, mitud, folder):
    """Sessions are there after an end, and after a kill, with their messages."""
    restarts.SETTLE_SECONDS = 0.1
    broker = durability.Durable(pathlib.Path(mitud).parent, "sync")
    made = measure.Bench(pathlib.Path(bench), machine.Cores(sorted(os.sched_getaffinity(0))), 0.1, 0.2, False)
    cores = made.cores.available
    for scenario in (scenarios.Scenario("away", "offline", 16, count=300, backlog=3, kept=True),
                     scenarios.Scenario("back", "comeback", 50, backlog=3, kept=True)):
        inner = folder / scenario.name
        inner.mkdir()
        report = restarts.RUNS[scenario.shape](made, broker, scenario, inner, cores)
        if not report["ok"] or "first_served_s" not in report["figures"]:
            sys.exit(f"failed: {scenario.shape}: {report}\n{(inner / brokers.LOG).read_text()}")
        print(f"ok  {scenario.shape:60} {report['figures']}")


def main():
    bench, relay, mitud, counter = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run_all(bench, [relay], folder / "relay.json", RELAY_RUNS)
        run_all(bench, [mitud, "--listen", "tcp://127.0.0.1:0", "--http", "127.0.0.1:0", "--data",
                        str(folder / "data"), "--shards", "1", "--allow-anonymous", "--log-level",
                        "warn"], folder / "mitud.json", MITUD_RUNS)
        run_durable(bench, mitud, counter, folder)
        run_restarts(bench, mitud, folder)
        for label, wire in scenarios.WIRES.items():
            print(label)
            scenario = scenarios.Scenario(label, "pairs", 5, **wire)
            inner = folder / label.replace(" ", "-")
            inner.mkdir()
            words = configuration.write(inner, scenario, configuration.FEATURES)
            wire = [word for word in scenario.arguments() if word.startswith(("--tls", "--web"))]
            wire += certificates.generator_words(scenario)
            resumed = [["handshake", "--clients=4", "--resume"]] if scenario.tls else []
            run_all(bench, [mitud, *words, "--shards", "2", "--log-level", "warn"],
                    inner / "port.json", [run + wire for run in WIRE_RUNS + resumed])


if __name__ == "__main__":
    main()
