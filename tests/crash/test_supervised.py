"""Under a supervisor: the one that serves is killed, and exchanged by upgrades, under load. Nobody is
refused, and the history is one that the promises allow.

MITU_CRASH_UPGRADES: how many, in rounds of 6 with 3 kills (a supervisor gives up at the fifth death in a
minute). MITU_CRASH_SEED, MITU_CRASH_REPORT as in test_crash.
"""

import asyncio
import os
import signal
import time
import unittest

import report
import rounds
import server
import world

UPGRADES = int(os.environ.get("MITU_CRASH_UPGRADES", "6"))
SEED = int(os.environ.get("MITU_CRASH_SEED", "1"))
UPGRADES_PER_ROUND = 6
KILLS_PER_ROUND = 3


class SupervisedServer(server.Server):
    """What is killed and frozen is the worker; the process is the supervisor."""

    alone = ()

    def start(self):
        if self.process is None:
            self.launch()
            self._launched_at = time.monotonic()
        self.wait_for("worker_serves", self.starts + 1)
        self.start_s.append(time.monotonic() - self._launched_at)
        self.starts += 1

    def wait_for(self, event, count):
        server.harness.eventually(
            lambda: len(self.events(event)) >= count,
            lambda: f"{count} times {event}\n{report.tail(self)}",
            60,
        )

    def worker(self):
        return server.harness.eventually(
            lambda: server.harness.worker_of(self.process.pid), lambda: f"a worker\n{report.tail(self)}"
        )

    def kill(self):
        self._launched_at = time.monotonic()
        os.kill(self.worker(), signal.SIGKILL)

    def freeze(self):
        self._frozen = self.worker()
        os.kill(self._frozen, signal.SIGSTOP)

    def thaw(self):
        os.kill(self._frozen, signal.SIGCONT)

    def upgrade(self):
        """To the same program, which goes the whole way."""
        self._launched_at = time.monotonic()
        done = len(self.events("supervisor_upgraded"))
        os.kill(self.process.pid, signal.SIGUSR2)
        self.wait_for("supervisor_upgraded", done + 1)


class SupervisedWorld(world.World):
    async def kill_and_start(self, between=None):
        await self.kill()
        await self.start()

    async def upgrade(self):
        # To clients it is a death: what is under way is neither confirmed nor denied.
        self.history.add("killed", "server")
        await asyncio.to_thread(self.server.upgrade)
        await self.start()
        self.faults["upgrades"] += 1

    async def strike(self, kills, between=None):
        acts = [self.upgrade] * UPGRADES_PER_ROUND + [self.kill_and_start] * kills
        self.random.shuffle(acts)
        for act in acts:
            await asyncio.sleep(self.random.uniform(0.1, 1.2))
            if self.random.random() < 0.2:
                await self.freeze(self.random.uniform(0.05, 0.5))
            await act()
            self._look_at_tasks()


class Supervised(unittest.TestCase):
    def test_upgrades_and_deaths_lose_nothing_that_was_acknowledged(self):
        total = report.Report("upgrades, kill -9 of the worker, SIGSTOP, cut connections")
        count = max(1, UPGRADES // UPGRADES_PER_ROUND)
        for seed in range(SEED, SEED + count):
            with self.subTest(seed=seed):
                one = SupervisedWorld(seed, SupervisedServer(shards=1 + seed % 3))
                rounds.play(self, one, KILLS_PER_ROUND, total)
        print("\n" + total.table(), flush=True)
        total.save(os.environ.get("MITU_CRASH_REPORT"), "supervised")


if __name__ == "__main__":
    unittest.main()
