"""The end of the newest write-ahead log is cut or flipped between two runs, as a disk does that lies or
loses power. The server starts every time, says what was lost, and what is left holds together.

Durability is `async`, so that a bounded tail may be lost. MITU_CRASH_DAMAGES: how often (8).
"""

import asyncio
import os
import random
import unittest

import report
import server
import world

DAMAGES = int(os.environ.get("MITU_CRASH_DAMAGES", "8"))
SEED = int(os.environ.get("MITU_CRASH_SEED", "1"))
TAIL_BYTES = 4_096


class Damage(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.cut, self.flipped = 0, 0
        self.server = server.Server(durability="async")
        self.addCleanup(self.server.remove)

    def cut_tail(self):
        log = self.server.newest_log()
        size = log.stat().st_size
        os.truncate(log, max(0, size - self.random.randrange(1, TAIL_BYTES)))
        self.cut += size > 0

    def flip_tail(self):
        log = self.server.newest_log()
        size = log.stat().st_size
        if size == 0:
            return
        with log.open("r+b") as file:
            for _ in range(self.random.randrange(1, 4)):
                at = self.random.randrange(max(0, size - TAIL_BYTES), size)
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ (1 << self.random.randrange(8))]))
        self.flipped += 1

    def test_the_server_starts_whatever_the_end_of_its_log_looks_like(self):
        one = world.World(SEED, self.server, may_lose=True)
        told = []

        def damage():
            told.append(bool(self.server.events("store_loss")))
            self.random.choice([self.cut_tail, self.flip_tail])()

        try:
            checker = asyncio.run(world.play(one, DAMAGES, damage))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{report.tail(self.server)}") from error
        told.append(bool(self.server.events("store_loss")))
        checker.check(may_lose=True)
        total = report.Report("damaged log, durability async")
        total.add(one, checker)
        total.counts["logs cut"], total.counts["logs with flipped bits"] = self.cut, self.flipped
        total.counts["starts that told of a loss"] = sum(told)
        print("\n" + total.table(), flush=True)
        total.save(os.environ.get("MITU_CRASH_REPORT"), "damage")
        self.assertEqual(self.server.starts, DAMAGES + 1)
        self.assertGreater(self.cut + self.flipped, 0)
        # A flipped bit is found by its checksum, and told of.
        if self.flipped:
            self.assertGreater(sum(told), 0)
        if checker.violations:
            self.fail(f"{report.violations(checker)}\nall of it: {report.keep(one, checker)}")


if __name__ == "__main__":
    unittest.main()
