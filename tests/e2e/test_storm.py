"""A fleet loses its connections and comes back at once over TLS; those that stayed notice nothing.

MITU_STORM_CLIENTS: how many come back (1,500; `./dev soak`: 19,000). The clients are mitu-bench's: one
process for those that stay (each pings and publishes every two seconds, with a keep-alive of five),
one for those that are cut. Each process may open 20,000 files on most machines.
"""

import json
import os
import pathlib
import signal
import tempfile
import threading
import unittest

import harness
from configured import Authority, ConfiguredServer
from harness import only_mitud

CLIENTS = int(os.environ.get("MITU_STORM_CLIENTS", "1500"))
STAYING = 100 if CLIENTS <= 2_000 else 300
KEEP_ALIVE_S = 5
# Two seconds from one packet of a device to its next of that kind.
HEARTBEATS_PER_S = STAYING // 2
# Nobody getting in for so long is a failure; all of it may take much longer on a busy machine.
PATIENCE_S = 60
SETUP_S = 2 * PATIENCE_S + CLIENTS / 50

CONFIGURATION = """
listeners:
  - name: tls
    bind: "127.0.0.1:0"
    tls: {certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]}
authentication: {allow_anonymous: always}
"""


class Bench:
    """mitu-bench at work; progress goes to our output while many come."""

    def __init__(self, server, certificate, *words):
        self.process = harness.Process(
            [
                *(harness.BIN_DIR / "mitu-bench", *words, "--tls", "1.3", "--ca", certificate),
                *("--port", server.port("tls"), "--broker-pid", server.process.pid),
                *("--patience", PATIENCE_S),
            ]
        )

    def report(self, patience_s):
        """What it says at its end."""
        self.process.wait(patience_s)
        for line in reversed(self.process.lines):
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError(f"no report:\n{self.process.output()}")

    def end_soon(self):
        self.process._child.send_signal(signal.SIGTERM)


@only_mitud("its own configuration")
class Storm(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        self.authority = Authority(self.folder)
        self.authority.issue("server")
        self.server = ConfiguredServer(CONFIGURATION, self.folder)
        self.addCleanup(self.server.stop)

    def bench(self, *words):
        bench = Bench(self.server, self.authority.certificate, *words)
        self.addCleanup(bench.process.kill)
        return bench

    def follow(self, bench):
        """Prints its progress as it comes."""
        shown = 0
        while bench.process.is_running():
            lines = list(bench.process.lines)
            for line in lines[shown:]:
                if not line.startswith("{"):
                    print(line, flush=True)
            shown = len(lines)
            harness.let_time_pass(0.2)

    def test_all_come_back_and_who_stayed_misses_nothing(self):
        staying = self.bench(
            *("heartbeat", "--clients", STAYING, "--rate", HEARTBEATS_PER_S, "--warmup", "0"),
            *("--keep-alive", KEEP_ALIVE_S, "--seconds", "3000", "--quiet"),
        )
        # Who is cut stays long enough, before and after, for keep-alives to be missed.
        storm = self.bench(
            *("storm", "--clients", CLIENTS, "--warmup", "1", "--seconds", 2 * KEEP_ALIVE_S)
        )
        if CLIENTS > 2_000:
            threading.Thread(target=self.follow, args=(storm,), daemon=True).start()
        came_back = storm.report(SETUP_S * 2)
        staying.end_soon()
        stayed = staying.report(PATIENCE_S * 2)

        self.assertTrue(came_back["ok"], came_back)
        self.assertEqual(came_back["delivered"], CLIENTS)
        self.assertTrue(stayed["ok"], stayed)
        self.assertGreater(stayed["delivered"], 0)
        self.assertGreater(stayed["verification"]["pings"], 0)
        print(
            f"\n{CLIENTS:,} are back after {came_back['measured_s']:.1f} s, "
            f"{came_back['delivered_per_s']:.0f}/s, {came_back['broker_cpu_us_per_message']:.0f} us "
            f"of the broker each; turned away {came_back['storm']['turned_away']} times "
            f"{came_back['storm']['reasons']}; beside them {stayed['delivered']:,} messages of {STAYING} "
            f"clients, p99 {stayed['latency_us']['p99'] / 1000:.0f} ms, "
            f"longest {stayed['latency_us']['max'] / 1000:.0f} ms",
            flush=True,
        )


if __name__ == "__main__":
    unittest.main()
