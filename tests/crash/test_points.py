"""Strikes at every named point of the way to the disk and back: kill -9, a torn write, a loss of power, a
call that fails. Every point that the binary lists is reached, or the test fails and names it.

MITU_CRASH_POINTS: how often each strike (0: a handful; `./dev soak`: 4). MITU_CRASH_SEED, MITU_CRASH_REPORT:
as for test_crash. MITU_CRASH_ONLY: strikes with this in their name.
"""

import asyncio
import os
import random
import unittest

import points
import report
import server

COUNT = int(os.environ.get("MITU_CRASH_POINTS", "0"))
SEED = int(os.environ.get("MITU_CRASH_SEED", "1"))
ONLY = os.environ.get("MITU_CRASH_ONLY", "")
STRIKES_PER_ROUND = 40
COUNTS = range(COUNT) if COUNT else [1]  # of each strike; a handful is better under load
QUOTA_EXCEEDED = 0x97
# One of each kind, along the way.
HANDFUL = (
    *("kill at start.row_restored", "kill at shard.answered", "tear at disk.log_append"),
    *("kill at committer.one_reported", "power at disk.log_sync", "kill at engine.flush_done"),
    *("power at disk.manifest_appended", "fail at disk.log_sync"),
)


class Points(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.ledger = points.Ledger()
        self.total = report.Report("strikes at the points of the way to the disk")
        self.strikes = [s for s in points.all_strikes() if ONLY in str(s)]
        if COUNT == 0:
            self.strikes = [s for s in self.strikes if str(s) in HANDFUL]

    def test_nothing_acknowledged_is_lost_at_any_point(self):
        self.assertGreater(len(self.strikes), 0)
        repairs = [s for s in self.strikes if s.point.startswith(points.REPAIRS)]
        of_async = [s for s in self.strikes if s.point in points.ASYNC_ONLY]
        others = [s for s in self.strikes if s not in repairs and s not in of_async]
        failures = [s for s in others if s.what == "fail" or s.point in points.CAUSES]
        deaths = [s for s in others if s not in failures]
        self.play_all(deaths, durability="sync")
        self.play_all(failures, durability="sync", may_refuse=True)
        self.play_all(of_async, durability="async")
        self.play_all(repairs, durability="async", damages=True)
        print("\n" + self.total.table(), flush=True)
        self.total.save(os.environ.get("MITU_CRASH_REPORT"), "points")
        self.assertEqual(self.ledger.never(self.strikes), [], "points that were never reached")

    def play_all(self, strikes, **arguments):
        """Each of them COUNT times, in an order of the seed, in rounds."""
        course = [(strike, count) for strike in strikes for count in COUNTS]
        self.random.shuffle(course)
        for begin in range(0, len(course), STRIKES_PER_ROUND):
            seed = self.random.randrange(1 << 32)
            with self.subTest(seed=seed, **arguments):
                self.play(seed, course[begin : begin + STRIKES_PER_ROUND], **arguments)
            if COUNT:
                print(self.total.line(), flush=True)

    def play(self, seed, course, durability, may_refuse=False, damages=False):
        under_test = server.Server(durability, shards=1 + seed % 3, write_buffer="1MiB")
        self.addCleanup(under_test.remove)
        one = points.Struck(seed, under_test, self.ledger, may_lose=damages)

        def damage():
            self.total.counts["tables damaged"] += under_test.damage_table()

        try:
            checker = asyncio.run(points.play(one, course, damage if damages else None))
        except AssertionError as error:
            raise AssertionError(
                f"seed {seed}: {error}\n{report.tail(under_test)}\nall of it: {report.keep(one)}"
            ) from error
        checker.check(may_lose=damages)
        self.total.add(one, checker)
        if may_refuse:
            self.assertLessEqual(set(one.reasons), {QUOTA_EXCEEDED})
        elif not damages:
            self.assertEqual(dict(one.reasons), {})
            self.assertEqual(dict(one.refusals), {})
        if checker.violations:
            kept = report.keep(one, checker)
            self.fail(
                f"seed {seed}: {report.violations(checker)}\n{[str(s) for s, _ in course]}\nall of it: {kept}"
            )
        under_test.remove()


if __name__ == "__main__":
    unittest.main()
