"""A disk that fills up under load: new durable work is refused (0x97), the rest is served, and it goes
on when there is space again. Nothing acknowledged is lost, over a kill on the full disk too.

The disk is a tmpfs of 96 MB. It is mounted in a mount namespace of this process, which starts itself
again for that; where that is not allowed the test is skipped, and says so.
"""

import asyncio
import collections
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import clients
import history as histories
import report
import server
import world

DISK_BYTES = 96 << 20
QUOTA_EXCEEDED = 0x97
MARK = "MITU_CRASH_DISK"


class Quiet(world.World):
    """Only what this test needs: one that keeps everything, two that publish."""

    def _make_clients(self):
        topics = [("load/d/1", 1, False), ("load/d/2", 2, False)]
        self.publishers.append(clients.Publisher(self, "d0", topics, window=8, pause_s=0.005))
        self.subscribers.append(clients.Subscriber(self, "steady", [("load/#", 2)]))

    async def _unrest(self):
        return


async def exchange_without_store(port):
    """QoS 0 between two clients without a session that is kept: nothing of it needs the disk."""
    reader, writer = await clients.Link.open(port), await clients.Link.open(port)
    mqtt = clients.mqtt
    try:
        for link, name in ((reader, "r"), (writer, "w")):
            link.send(mqtt.connect(5, "plain_" + name, clean=True))
            answer = await asyncio.wait_for(link.receive(), 10)
            assert answer.type == mqtt.CONNACK and answer.connack_code == 0, answer
        reader.send(mqtt.subscribe(1, ("plain", 0)))
        answer = await asyncio.wait_for(reader.receive(), 10)
        assert answer.type == mqtt.SUBACK and answer.body[-1] == 0, answer
        writer.send(mqtt.publish("plain", b"x"))
        answer = await asyncio.wait_for(reader.receive(), 10)
        assert answer.type == mqtt.PUBLISH, answer
    finally:
        reader.cut(with_reset=False)
        writer.cut(with_reset=False)


class FullDisk(unittest.TestCase):
    def test_a_full_disk_refuses_what_is_new_and_recovers(self):
        disk = os.environ.get(MARK)
        if disk is None:
            self.run_with_a_disk_of_its_own()
            return
        asyncio.run(self.fill_and_free(pathlib.Path(disk)))

    def run_with_a_disk_of_its_own(self):
        folder = tempfile.mkdtemp(prefix="mitu-crash-disk-")
        self.addCleanup(os.rmdir, folder)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder]
        enter = ["unshare", "--mount", "--propagation", "private"]
        if os.geteuid() != 0:
            enter.insert(1, "--map-root-user")
        if subprocess.run([*enter, *mount], capture_output=True, check=False).returncode != 0:
            self.skipTest("mounting is not allowed here")
        again = [sys.executable, "-m", "unittest", "-v", "test_full_disk"]
        script = 'size=$1 folder=$2; shift 2; mount -t tmpfs -o "size=$size" tmpfs "$folder" && exec "$@"'
        done = subprocess.run(
            [*enter, "sh", "-c", script, "sh", str(DISK_BYTES), folder, *again],
            env={**os.environ, MARK: folder},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        print(done.stdout, flush=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    async def fill_and_free(self, disk):
        under_test = server.Server(data=disk / "data", free_bytes_min="16MiB")
        self.addCleanup(under_test.remove)
        one = Quiet(1, under_test)
        ballast = disk / "ballast"
        try:
            await one.open()
            await one._until(lambda: one.publishers[0].serial > 50, "messages flow")
            reserve = under_test.data / "store" / "reserve"
            for over_a_kill in (False, True, True):
                await one._until(reserve.exists, "a reserve for a start is set aside")
                refused = one.reasons[QUOTA_EXCEEDED]
                self.fill(ballast)
                await one._until(
                    lambda: one.reasons[QUOTA_EXCEEDED] > refused + 5, "new messages are refused"
                )
                await exchange_without_store(one.port)
                one.faults["disks filled"] += 1
                if over_a_kill:
                    await one.kill_and_start(between=lambda: self.fill_up(disk, ballast))
                    self.assertFalse(reserve.exists(), "it is given up")
                    await exchange_without_store(one.port)
                    refused = one.reasons[QUOTA_EXCEEDED]
                    await one._until(
                        lambda: one.reasons[QUOTA_EXCEEDED] > refused + 5, "still refused"
                    )
                    one.faults["starts without a byte free"] += 1
                ballast.unlink()
                acknowledged = self.acknowledged(one)
                await one._until(
                    lambda: self.acknowledged(one) > acknowledged + 50, "it goes on with space"
                )
            await one.kill_and_start()
            await one.close_without_retained()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{report.tail(under_test)}") from error
        finally:
            await one.end()
        checker = histories.check(one.history)
        total = report.Report("full disk")
        total.add(one, checker)
        total.counts["publishes refused (0x97)"] = one.reasons[QUOTA_EXCEEDED]
        print("\n" + total.table(), flush=True)
        total.save(os.environ.get("MITU_CRASH_REPORT"), "full_disk")
        self.assertEqual(set(one.reasons), {QUOTA_EXCEEDED})
        if checker.violations:
            self.fail(f"{report.violations(checker)}\nall of it: {report.keep(one, checker)}")

    def fill_up(self, disk, ballast):
        self.fill(ballast)
        self.assertEqual(os.statvfs(disk).f_bavail, 0, "nothing is free")

    @staticmethod
    def fill(ballast):
        with ballast.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass  # full

    @staticmethod
    def acknowledged(one):
        return collections.Counter(e.kind for e in one.history.events if e.flag)["published"]


if __name__ == "__main__":
    unittest.main()
