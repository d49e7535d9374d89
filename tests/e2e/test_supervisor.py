"""A worker that dies is there again at once; the sockets stand open meanwhile; who it was that ended
shows. Numbers are printed, since only a quiet machine makes promises about them."""

import asyncio
import ctypes
import os
import pathlib
import signal
import socket
import time
import unittest

import configured
import harness
import mqtt_fleet
import raw_mqtt

DEVICES = int(os.environ.get("MITU_E2E_DEVICES", "2000"))
OPEN = """
listeners: [{name: mqtt, bind: "127.0.0.1:0"}]
authentication: {allow_anonymous: loopback}
"""


class SupervisedCase(unittest.TestCase):
    def serve(self, **arguments):
        broker = harness.Broker(supervised=True, **arguments)
        self.addCleanup(broker.remove)
        self.await_word(broker, "worker_serves")
        return broker

    def serve_configured(self, text, folder=None):
        folder = folder or harness.temporary_folder(self)
        server = configured.ConfiguredServer(text, folder, supervised=True)
        self.addCleanup(server.stop)
        harness.eventually(lambda: server.events("worker_serves"), "the supervisor knows it")
        return server

    def worker(self, broker, other_than=None):
        """The process that serves, as soon as there is one."""

        def found():
            pid = harness.worker_of(broker.process.pid)
            return pid if pid not in (None, other_than) else None

        return harness.eventually(found, lambda: f"a worker\n{broker.process.output()}")

    def connected(self, broker):
        connection = raw_mqtt.Connection(broker)
        self.addCleanup(connection.close)
        connection.send(raw_mqtt.connect(client_id=self._testMethodName))
        self.assertEqual(connection.receive().type, raw_mqtt.CONNACK)
        return connection

    def said(self, broker, what):
        return [line for line in list(broker.process.lines) if what in line]

    def await_word(self, broker, what, count=1):
        harness.eventually(lambda: len(self.said(broker, what)) >= count,
                           lambda: f"the log says {what}\n{broker.process.output()}")


@harness.only_mitud("its two processes")
class WorkerDies(SupervisedCase):
    def test_devices_are_served_again_and_none_is_refused(self):
        broker = self.serve()
        first, last, refused = asyncio.run(self.kill_under(broker))
        print(f"\n{DEVICES} devices, SIGKILL of the worker: first served after {first * 1e3:.0f} ms, "
              f"last after {last * 1e3:.0f} ms", flush=True)
        self.assertEqual(refused, 0)
        self.assertLess(first, 5)
        self.assertEqual(broker.stop(), 0)

    async def kill_under(self, broker):
        async with mqtt_fleet.Fleet(broker.port, DEVICES) as fleet:
            await fleet.all_served()
            worker = harness.worker_of(broker.process.pid)
            killed_at = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            first, last = await fleet.all_served(since=killed_at)
            return first - killed_at, last - killed_at, fleet.refused

    def test_the_log_says_of_what_and_after_how_long(self):
        broker = self.serve()
        first = self.worker(broker)
        for count, number, name in ((2, signal.SIGABRT, "signal 6 (Aborted)"),
                                    (3, signal.SIGKILL, "signal 9 (Killed)")):
            os.kill(first, number)
            first = self.worker(broker, other_than=first)
            self.await_word(broker, name)
            self.await_word(broker, "worker_serves", count)
            self.connected(broker)
        self.assertEqual(len(self.said(broker, "event=worker_died")), 2)
        self.assertRegex(self.said(broker, "event=worker_died")[0], r"uptime_ms\W+\d+")
        self.assertRegex(self.said(broker, "event=worker_died")[1], r"deaths\W+2\b")

    def test_a_worker_that_somebody_else_ends_is_started_again(self):
        broker = self.serve()
        worker = self.worker(broker)
        os.kill(worker, signal.SIGTERM)  # it says goodbye, and its exit code is 0
        self.worker(broker, other_than=worker)
        self.await_word(broker, "worker_serves", 2)
        self.connected(broker)

    def test_every_kind_of_socket_stands_open_meanwhile(self):
        folder = harness.temporary_folder(self)
        server = self.serve_configured(
            'listeners: [{name: mqtt, bind: "127.0.0.1:0"}, {name: v6, bind: "[::1]:0"},\n'
            '  {name: local, bind: "unix:{folder}/mqtt.sock"}]\n', folder)
        worker = harness.worker_of(server.process.pid)
        addresses = [(socket.AF_INET, ("127.0.0.1", server.port("mqtt"))),
                     (socket.AF_INET6, ("::1", server.port("v6"))),
                     (socket.AF_UNIX, str(folder / "mqtt.sock")),
                     (socket.AF_INET, ("127.0.0.1", server.http_port)),
                     (socket.AF_UNIX, str(folder / "data/api.sock"))]
        os.kill(server.process.pid, signal.SIGSTOP)  # so that nobody starts it again yet
        os.kill(worker, signal.SIGKILL)
        harness.eventually(lambda: pathlib.Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z",
                           "the worker is gone")
        waiting = []
        for family, address in addresses:
            waiting.append(socket.socket(family))
            self.addCleanup(waiting[-1].close)
            waiting[-1].settimeout(harness.PATIENCE_S)
            waiting[-1].connect(address)
        os.kill(server.process.pid, signal.SIGCONT)
        for peer in (waiting[3], waiting[4]):
            peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            self.assertIn(b"200 OK", peer.recv(4096))

    def test_that_dies_again_and_again_ends_the_server_in_a_clear_state(self):
        broker = self.serve()
        worker = None
        for _ in range(5):
            worker = self.worker(broker, other_than=worker)
            os.kill(worker, signal.SIGKILL)
        self.assertEqual(broker.process.wait(), 3)
        self.assertEqual(len(self.said(broker, "event=worker_died")), 4)
        self.assertEqual(len(self.said(broker, "worker_given_up")), 1)
        self.assertIn("5 times within 60 s", self.said(broker, "worker_given_up")[0])
        with socket.socket() as late:
            self.assertNotEqual(late.connect_ex((broker.host, broker.port)), 0)

    def test_a_configuration_that_went_wrong_meanwhile_is_named_and_ends_the_server(self):
        server = self.serve_configured(OPEN)
        server.configure("listeners: 7\n")
        os.kill(harness.worker_of(server.process.pid), signal.SIGKILL)
        self.assertEqual(server.process.wait(), 2)
        self.assertTrue(server.events("worker_cannot_start"))
        self.assertIn("mitud.yaml:1: listeners", server.process.output())

    def test_with_fewer_listeners_than_before_leaves_none_open_that_nobody_serves(self):
        two = OPEN.replace("]\n", ', {name: other, bind: "127.0.0.1:0"}]\n', 1)
        server = self.serve_configured(two)
        other, worker = server.port("other"), harness.worker_of(server.process.pid)
        server.configure(OPEN)
        os.kill(worker, signal.SIGKILL)
        harness.eventually(lambda: len(server.events("worker_serves")) == 2, "it serves again")
        with socket.socket() as late:
            self.assertNotEqual(late.connect_ex(("127.0.0.1", other)), 0)
        with socket.socket() as served:
            self.assertEqual(served.connect_ex(("127.0.0.1", server.port("mqtt"))), 0)


@harness.only_mitud("its two processes")
class SupervisorIsTold(SupervisedCase):
    def test_to_end_and_ends_both(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            broker = self.serve()
            worker, client = self.worker(broker), self.connected(broker)
            os.kill(broker.process.pid, number)
            goodbye = client.receive()
            self.assertEqual((goodbye.type, goodbye.disconnect_reason), (raw_mqtt.DISCONNECT, 0x8B))
            self.assertEqual(broker.process.wait(), 0)
            self.assertFalse(pathlib.Path(f"/proc/{worker}").exists())

    def test_to_end_while_the_worker_is_dead(self):
        broker = self.serve()
        worker = self.worker(broker)
        os.kill(broker.process.pid, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        os.kill(broker.process.pid, signal.SIGTERM)
        os.kill(broker.process.pid, signal.SIGCONT)
        self.assertIn(broker.process.wait(), (0, 1))
        self.assertFalse(self.said(broker, "event=worker_died "))

    def test_to_read_the_configuration_anew(self):
        server = self.serve_configured(OPEN)
        server.configure(OPEN.replace("loopback", "never"))
        self.assertIn("config_reloaded", server.reload().values())
        status, _ = harness.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", server.port("mqtt"),
                                 "-t", "a", "-m", "b", "-q", "1"], check=False)
        self.assertNotEqual(status, 0)

    def test_nothing_because_it_was_killed_and_takes_the_worker_along(self):
        broker = self.serve()
        worker = self.worker(broker)
        broker.kill()
        harness.eventually(lambda: not pathlib.Path(f"/proc/{worker}").exists(), "the worker ends")

    def test_systemd_hears_of_deaths_and_of_the_end(self):
        folder = harness.temporary_folder(self)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(harness.PATIENCE_S)
            manager.bind(str(folder / "notify"))
            broker = self.serve(environment={"NOTIFY_SOCKET": str(folder / "notify")})
            hear = lambda: manager.recv(512).decode()
            self.assertRegex(hear(), r"\AREADY=1\nSTATUS=serving; MQTT on port \d+\Z")
            os.kill(self.worker(broker), signal.SIGKILL)
            self.assertEqual(hear(), "STATUS=the worker died by signal 9 (Killed); it starts again")
            self.assertTrue(hear().startswith("READY=1\n"))
            os.kill(broker.process.pid, signal.SIGTERM)
            self.assertEqual(hear(), "STOPPING=1")

    def test_of_a_channel_that_is_none_by_a_person_who_gets_an_error(self):
        for value in ("", "x", "0", "77"):
            status, said = harness.run([harness.BIN_DIR / "mitud", "--config", ""], check=False,
                                       environment={**os.environ, "MITUD_CHANNEL": value})
            self.assertEqual(status, 2)
            self.assertIn("unset it", said)


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


class HeldThread:
    """One thread of another process, stopped while the others go on, as a hang in the kernel is."""

    def __init__(self, thread):
        self.thread = thread
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._ask(PTRACE_SEIZE)
        self._ask(PTRACE_INTERRUPT)
        os.waitpid(thread, 0x40000000)  # __WALL: until it stands

    def _ask(self, request):
        if self._libc.ptrace(request, self.thread, None, None) != 0:
            raise unittest.SkipTest(f"ptrace is not allowed here: {os.strerror(ctypes.get_errno())}")

    def await_end(self):
        """Who traces a thread is who its end is told to."""
        os.waitpid(self.thread, 0x40000000)

    def let_go(self):
        self._ask(PTRACE_DETACH)


def thread_named(pid, name):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"{pid} has no thread {name}")


@harness.only_mitud("its watchdog")
class ShardStalls(SupervisedCase):
    def test_is_logged_and_counted_and_the_delay_is_measured(self):
        broker = self.serve()
        harness.eventually(
            lambda: harness.metric(broker, "mitu_event_loop_delay_seconds_count", shard="1") > 2,
            "delays are measured")
        held = HeldThread(thread_named(self.worker(broker), "shard-1"))
        self.await_word(broker, "event=shard_stalls")
        held.let_go()
        self.await_word(broker, "event=shard_turns_again")
        self.assertRegex(self.said(broker, "event=shard_stalls")[0], "shard=1 stalled_ms=2")
        self.assertEqual(harness.metric(broker, "mitu_shard_stalls_total", shard="1"), 1)
        self.assertEqual(harness.metric(broker, "mitu_shard_stalls_total", shard="0"), 0)
        self.assertGreater(harness.metric(broker, "mitu_event_loop_delay_max_seconds", shard="1"), 1)
        self.connected(broker)

    def test_for_ten_seconds_and_the_worker_is_another_one(self):
        broker = self.serve()
        worker = self.worker(broker)
        held = HeldThread(thread_named(worker, "shard-0"))
        self.await_word(broker, "event=shard_hangs")
        held.await_end()
        self.await_word(broker, 'how="signal 6 (Aborted)')
        self.await_word(broker, "event=worker_serves", 2)
        self.assertNotEqual(self.worker(broker), worker)
        self.connected(broker)

    def test_and_one_that_the_whole_process_was_stopped_for_is_none(self):
        broker = self.serve()
        worker = self.worker(broker)
        for _ in range(2):
            os.kill(worker, signal.SIGSTOP)
            harness.let_time_pass(3)
            os.kill(worker, signal.SIGCONT)
        self.connected(broker)
        self.assertFalse(self.said(broker, "event=shard_stalls"))


if __name__ == "__main__":
    unittest.main()
