"""Kills, pauses and cut connections under load; then the history must be one that the promises allow.

MITU_CRASH_KILLS: how many (20; `./dev soak`: 1,000), in rounds of 50. MITU_CRASH_SEED: the first
round's seed, which a failure names. MITU_CRASH_REPORT: a file for the report as JSON.
"""

import asyncio
import os
import unittest

import report
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
                self.play(seed, kills, total)
            left, seed = left - kills, seed + 1
            if KILLS > KILLS_PER_ROUND:
                print(total.line(), flush=True)
        print("\n" + total.table(), flush=True)
        total.save(os.environ.get("MITU_CRASH_REPORT"), "kills")

    def play(self, seed, kills, total):
        under_test = server.Server(shards=1 + seed % 3)
        self.addCleanup(under_test.remove)
        one = world.World(seed, under_test)
        try:
            checker = asyncio.run(world.play(one, kills))
        except AssertionError as error:
            kept = report.keep(one)
            raise AssertionError(
                f"seed {seed}: {error}\n{report.tail(under_test)}\nall of it: {kept}"
            ) from error
        checker.check()
        total.add(one, checker)
        # Nobody was turned away, and no answer was an error: the load is what was intended.
        self.assertEqual(dict(one.reasons), {})
        self.assertEqual(dict(one.refusals), {})
        if checker.violations:
            kept = report.keep(one, checker)
            self.fail(f"seed {seed}: {report.violations(checker)}\nall of it: {kept}")
        # A round that has exercised nothing proves nothing.
        for what in ("deliveries", "wills that came", "retained values compared"):
            self.assertGreater(checker.counts[what], 0, what)
        under_test.remove()


if __name__ == "__main__":
    unittest.main()
