#!/usr/bin/python3
"""Every scenario of mitu-bench for a moment against the null relay. Usage: smoke_test.py BENCH RELAY"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

RUNS = [
    ["connect", "--clients=50"],
    ["fan-in", "--clients=5"],
    ["fan-in", "--clients=5", "--qos=1", "--mqtt=5"],
    ["fan-out", "--clients=20", "--window=10", "--payload=1024"],
    ["fan-out", "--clients=20", "--rate=500", "--qos=2", "--mqtt=5"],
    ["pairs", "--clients=5", "--qos=2"],
    ["pairs", "--clients=5", "--window=1"],
    ["pairs", "--clients=5", "--rate=2000", "--qos=1"],
    ["heartbeat", "--clients=50", "--rate=1000"],
]


def wait_for_port(path, process):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"the null relay ended with {process.returncode}")
        if path.exists():
            return json.loads(path.read_text())["mqtt"]
        time.sleep(0.01)
    sys.exit("the null relay named no port within 10 s")


def main():
    bench, relay = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        port_file = pathlib.Path(folder) / "port.json"
        process = subprocess.Popen([relay, "--port-file", str(port_file)])
        try:
            port = wait_for_port(port_file, process)
            for run in RUNS:
                command = [bench, *run, f"--port={port}", f"--broker-pid={process.pid}",
                           "--warmup=0.05", "--seconds=0.1", "--quiet"]
                done = subprocess.run(command, capture_output=True, text=True, timeout=60)
                sys.stderr.write(done.stderr)
                result = json.loads(done.stdout) if done.stdout else {}
                if done.returncode != 0 or not result.get("ok") or result.get("delivered", 0) == 0:
                    sys.exit(f"failed: {' '.join(run)}\n{done.stdout}")
                print(f"ok  {' '.join(run):60} {result['delivered']} delivered")
        finally:
            process.terminate()
            process.wait(timeout=10)


if __name__ == "__main__":
    main()
