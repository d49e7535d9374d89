"""Kills, pauses and cut connections under load; then the history must be one that the promises allow.

MITU_CRASH_KILLS: how many (20; `./dev soak`: 1,000), in rounds of 50. MITU_CRASH_SEED: the first
round's seed, which a failure names. MITU_CRASH_REPORT: a file for the report as JSON.
"""

import os
import unittest

import report
import rounds
import server
import world

KILLS = int(os.environ.get("MITU_CRASH_KILLS", "20"))
SEED = int(os.environ.get("MITU_CRASH_SEED", "1"))
KILLS_PER_ROUND = 50


class Crash(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_and_nothing_comes_twice(self):
        total = report.Report("kill -9, SIGSTOP, cut connections")
        left, seed = KILLS, SEED
        while left > 0:
            kills = min(left, KILLS_PER_ROUND)
            with self.subTest(seed=seed):
                one = world.World(seed, server.Server(shards=1 + seed % 3))
                rounds.play(self, one, kills, total)
            left, seed = left - kills, seed + 1
            if KILLS > KILLS_PER_ROUND:
                print(total.line(), flush=True)
        print("\n" + total.table(), flush=True)
        total.save(os.environ.get("MITU_CRASH_REPORT"), "kills")


if __name__ == "__main__":
    unittest.main()
