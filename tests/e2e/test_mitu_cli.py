"""`mitu pub`, `mitu sub`, `mitu top`, `mitu device` and `mitu passwd`, as people and scripts use them."""

import csv
import json
import os
import pty
import unittest

import harness
from harness import eventually, only_mitud

MITU = harness.BIN_DIR / "mitu"


class Sub:
    """A running `mitu sub --json`."""

    def __init__(self, broker, *arguments):
        self.process = harness.Process(
            [MITU, "sub", "--host", broker.host, "--port", broker.port, "--json", *arguments]
        )

    @property
    def messages(self):
        lines = [line for line in list(self.process.lines) if line.startswith("{")]
        return [json.loads(line) for line in lines]

    @property
    def payloads(self):
        return [message["payload"] for message in self.messages]

    def expect(self, count):
        eventually(
            lambda: len(self.messages) >= count,
            lambda: f"{count} messages; there are\n{self.process.output()}",
        )
        return self.messages


class CliCase(harness.BrokerCase):
    def sub(self, *arguments):
        """Subscribed once this returns: a retained message of its own is what it sees first."""
        self.subs = getattr(self, "subs", 0) + 1
        ready = f"ready/{self.name}/{self.subs}"
        self.pub(ready, "ready", "--retain", "--qos", "1")
        sub = Sub(self.broker, "--topic", ready, *arguments)
        self.addCleanup(sub.process.kill)
        eventually(
            lambda: "ready" in sub.payloads, lambda: f"it subscribes\n{sub.process.output()}"
        )
        sub.process.lines.clear()
        return sub

    def pub(self, *arguments, stdin=None, check=True, **options):
        server = ["--host", self.broker.host, "--port", self.broker.port]
        command = [MITU, "pub", *server, *arguments]
        return harness.run(command, stdin=stdin, check=check, **options)


class PublishAndSubscribe(CliCase):
    def test_each_qos_and_version(self):
        for version in ("3.1.1", "5"):
            for qos in ("0", "1", "2"):
                with self.subTest(version=version, qos=qos):
                    topic = self.topic(version, qos)
                    sub = self.sub("--topic", topic, "--qos", "2", "--mqtt-version", version)
                    self.pub(topic, "hello", "--qos", qos, "--mqtt-version", version)
                    message = sub.expect(1)[0]
                    self.assertEqual(message["payload"], "hello")
                    self.assertEqual(message["topic"], topic)
                    self.assertEqual(message["qos"], int(qos))
                    sub.process.kill()

    def test_the_answer_names_topic_qos_and_whether_anybody_listens(self):
        topic = self.topic("a")
        _, output = self.pub(topic, "hello", "--qos", "1")
        if harness.BROKER == "mitud":
            self.assertEqual(output.split(), ["ok", topic, "qos=1", "subscribers=0"])
        self.sub("--topic", topic)
        _, output = self.pub(topic, "hello", "--qos", "1")
        self.assertEqual(output.split()[:3], ["ok", topic, "qos=1"])
        self.assertNotIn("subscribers=0", output)

    def test_lines_of_stdin_keep_their_order(self):
        lines = [f"line {index}" for index in range(2000)]
        sub = self.sub("--topic", self.topic("a"), "--qos", "1")
        self.pub(self.topic("a"), "--lines", "--qos", "1", stdin="\n".join(lines).encode())
        sub.expect(len(lines))
        self.assertEqual(sub.payloads, lines)

    def test_files_and_stdin_pass_unchanged(self):
        payload = bytes(range(256)) * 100
        path = self.broker.directory / "payload.bin"
        path.write_bytes(payload)
        for arguments, stdin in ((("--file", path), None), (("--stdin",), payload)):
            sub = harness.Process(
                [MITU, "sub", "--host", self.broker.host, "--port", self.broker.port]
                + ["--topic", self.topic("b"), "--format", "%x", "--count", "1", "--qos", "1"]
            )
            self.addCleanup(sub.kill)
            # Retained: it does not matter which of the two is first.
            self.pub(self.topic("b"), *arguments, "--qos", "1", "--retain", stdin=stdin)
            self.assertEqual(sub.wait(), 0)
            self.assertEqual(sub.output(), payload.hex())

    def test_retained_messages_are_seen_and_removed(self):
        self.pub(self.topic("a"), "kept", "--retain", "--qos", "1")
        server = ["--host", self.broker.host, "--port", self.broker.port]
        command = [MITU, "sub", *server, "--topic", self.topic("a"), "--retained-only"]
        _, output = harness.run([*command, "--timeout", "5s", "--format", "%t %p %r"], check=False)
        self.assertEqual(output.splitlines()[0].split(" ")[:2], [self.topic("a"), "kept"])
        self.pub(self.topic("a"), "--null", "--retain", "--qos", "1")
        sub = self.sub("--topic", self.topic("a"))
        self.pub(self.topic("a"), "fence")
        sub.expect(1)
        self.assertEqual(sub.payloads, ["fence"])

    def test_properties(self):
        sub = self.sub("--topic", self.topic("a"), "--subscription-identifier", "7")
        self.pub(
            *(self.topic("a"), "{}", "--content-type", "application/json"),
            *("--response-topic", "answers", "--correlation-data", "0x0001"),
            *("--user-property", "a=1", "--user-property", "a=2", "--message-expiry", "60s"),
        )
        line = json.dumps(sub.expect(1)[0])
        for word in ("application/json", "answers", '"a"', '"1"', '"2"', "7"):
            self.assertIn(word, line)

    def test_a_will(self):
        watcher = self.sub("--topic", self.topic("will"))
        doomed = self.sub("--will-topic", self.topic("will"), "--will-payload", "lost")
        doomed.process.kill()
        self.assertEqual(watcher.expect(1)[0]["payload"], "lost")

    def test_ctrl_c_says_goodbye(self):
        watcher = self.sub("--topic", self.topic("will"))
        polite = self.sub("--will-topic", self.topic("will"), "--will-payload", "wrong")
        polite.process.terminate()
        self.pub(self.topic("will"), "fence")
        watcher.expect(1)
        self.assertEqual(watcher.payloads, ["fence"])

    def test_a_session_is_kept(self):
        arguments = ("--topic", self.topic("a"), "--qos", "1")
        arguments += ("--keep-session", "--client-id", self.name)
        self.sub(*arguments).process.kill()
        for index in range(10):
            self.pub(self.topic("a"), str(index), "--qos", "1")
        back = Sub(self.broker, *arguments)
        self.addCleanup(back.process.kill)
        eventually(lambda: len(back.messages) >= 10, lambda: back.process.output())
        numbers = [payload for payload in back.payloads if payload != "ready"]
        self.assertEqual(numbers, [str(index) for index in range(10)])

    def test_sub_comes_back_when_the_server_does(self):
        broker = harness.Broker()
        self.addCleanup(broker.remove)
        sub = Sub(broker, "--topic", "a", "--qos", "1")
        self.addCleanup(sub.process.kill)

        def arrives(payload):
            server = ["--host", broker.host, "--port", broker.port]
            harness.run([MITU, "pub", *server, "a", payload, "--qos", "1"], check=False)
            return payload in sub.payloads

        eventually(lambda: arrives("before"), lambda: f"it subscribes\n{sub.process.output()}")
        broker.kill()
        broker.start(port=broker.port)
        eventually(lambda: arrives("after"), lambda: f"it comes back\n{sub.process.output()}")


class Complaints(CliCase):
    """An error says what, where and what to do, and has its exit code."""

    def test_nobody_listens(self):
        port = harness.unused_port()
        status, output = harness.run([MITU, "pub", "--port", port, "a", "b"], check=False)
        self.assertEqual(status, 3, output)
        self.assertIn(f"127.0.0.1:{port}", output)

    def test_wrong_use(self):
        for arguments in (("a/#", "x"), ("a", "x", "--qos", "3"), (), ("a", "x", "--colour")):
            with self.subTest(arguments=arguments):
                status, output = self.pub(*arguments, check=False)
                self.assertEqual(status, 2, output)
                self.assertTrue(output.strip())

    def test_a_count_that_does_not_come_in_time(self):
        command = [MITU, "sub", "--host", self.broker.host, "--port", self.broker.port]
        command += [self.topic("nothing"), "--count", "1", "--timeout", "0.3s"]
        status, output = harness.run(command, check=False)
        self.assertEqual(status, 4, output)

    def test_help_is_there_for_every_command(self):
        for words in ((), ("pub",), ("sub",), ("top",), ("fleet", "simulate"), ("fleet", "status")):
            with self.subTest(command=words):
                _, output = harness.run([MITU, *words, "--help"])
                self.assertIn("Usage: mitu", output)


@only_mitud("they ask its HTTP port")
class Watching(CliCase):
    def test_top_shows_what_there_is(self):
        self.sub("--topic", self.topic("a"))
        server = f"{self.broker.host}:{self.broker.http_port}"
        _, output = harness.run([MITU, "top", "--http", server, "--once", "--json"])
        self.assertTrue(json.loads(output.splitlines()[0]))
        _, output = harness.run([MITU, "top", "--http", server, "--once"])
        self.assertIn("CONNECTIONS", output)

    def test_health_and_metrics(self):
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(harness.http_get(self.broker, path)[0], 200, path)
        self.assertEqual(harness.http_get(self.broker, "/nowhere")[0], 404)
        before = harness.metric(self.broker, "mitu_messages_received_total")
        self.pub(self.topic("a"), "x", "--qos", "1")
        after = harness.metric(self.broker, "mitu_messages_received_total")
        self.assertEqual(after - before, 1)


@only_mitud("it reads the registry")
class Devices(unittest.TestCase):
    """What `mitu device` writes opens mitud's door."""

    def setUp(self):
        self.broker = None
        self.folder = harness.temporary_folder(self)
        self.registry = self.folder / "devices.csv"

    def device(self, *arguments, **options):
        return harness.run([MITU, "device", *arguments], **options)[1]

    def login(self, user, password):
        server = ["--host", self.broker.host, "--port", self.broker.port]
        topic = f"t/{user.split('@')[0]}/x"
        command = [MITU, "pub", *server, topic, "x", "--qos", "1", "--username", user]
        return harness.run([*command, "--password", password], check=False)[0]

    def start(self):
        self.broker = harness.Broker(options=("--registry", self.registry), anonymous=False)
        self.addCleanup(self.broker.remove)

    def test_add_with_a_generated_and_with_a_chosen_password(self):
        common = ("--tenant", "acme", "--class", "thermostat", "--registry", self.registry)
        made = json.loads(self.device("add", "th-1", *common, "--generate", "--json"))
        self.device("add", "th-2", *common, "--password-stdin", stdin=b"chosen\n")
        self.assertNotIn("chosen", self.registry.read_text())
        self.assertNotIn(made["password"], self.registry.read_text())
        self.start()
        self.assertEqual(self.login("th-1@acme", made["password"]), 0)
        self.assertEqual(self.login("th-2@acme", "chosen"), 0)
        self.assertEqual(self.login("th-1@acme", "chosen"), 1)
        self.assertEqual(self.login("th-3@acme", "chosen"), 1)

    def test_import_of_many(self):
        source, secrets = self.folder / "source.csv", self.folder / "credentials.csv"
        with open(source, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("device", "tenant", "class", "labels"))
            for index in range(200):
                writer.writerow((f"box-{index}", "borealis", "cold_box", "goods=fruit"))
        arguments = ("--generate", "--registry", self.registry, "--credentials-out", secrets)
        self.device("import", source, *arguments)
        listed = self.device("list", "--registry", self.registry, "--json").splitlines()
        self.assertEqual(len(listed), 200)
        self.start()
        with open(secrets, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 200)
        self.assertEqual(len({row["password"] for row in rows}), 200)
        for row in rows[::50]:
            self.assertEqual(self.login(f"{row['device']}@{row['tenant']}", row["password"]), 0)

    def test_a_device_twice_is_refused(self):
        common = ("--tenant", "acme", "--class", "thermostat", "--registry", self.registry)
        self.device("add", "th-1", *common, "--generate")
        before = self.registry.read_text()
        status, output = harness.run(
            [MITU, "device", "add", "th-1", *common, "--generate"], check=False
        )
        self.assertEqual(status, 2, output)
        self.assertIn("th-1", output)
        self.assertEqual(self.registry.read_text(), before)


class Passwords(unittest.TestCase):
    """`mitu passwd` at a terminal, and beside mosquitto_passwd."""

    def setUp(self):
        self.file = harness.temporary_folder(self) / "users"

    def at_terminal(self, *typed):
        """Types one line at each prompt; what the terminal showed, and the exit code."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(MITU, [str(MITU), "passwd", str(self.file), "ann"])
        shown = b""
        lines = list(typed)
        try:
            while chunk := os.read(terminal, 4096):
                shown += chunk
                if shown.endswith((b"Password: ", b"Again: ")):
                    os.write(terminal, lines.pop(0) + b"\n")
        except OSError:  # the other end has gone
            pass
        os.close(terminal)
        return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_a_typed_password_does_not_show_and_is_asked_for_twice(self):
        shown, status = self.at_terminal(b"hunter2", b"hunter2")
        self.assertEqual(status, 0, shown)
        self.assertNotIn(b"hunter", shown)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertNotIn("hunter", self.file.read_text())
        before = self.file.read_text()
        self.assertEqual(self.at_terminal(b"hunter2", b"hunter3")[1], 2)
        self.assertEqual(self.file.read_text(), before)

    def test_users_of_mosquitto_passwd_stay_beside_ours(self):
        harness.run(["mosquitto_passwd", "-c", "-b", self.file, "old", "secret"])
        self.file.chmod(0o600)  # else check remarks on it
        line = self.file.read_text()
        made = json.loads(harness.run([MITU, "passwd", self.file, "new", "--generate", "--json"])[1])
        self.assertEqual((made["user"], made["done"]), ("new", "added"))
        self.assertTrue(self.file.read_text().startswith(line))
        counts = json.loads(harness.run([MITU, "passwd", "check", self.file, "--json"])[1])
        self.assertEqual(counts["users"], 2)
        self.assertEqual((counts["hashes"]["argon2id"], counts["hashes"]["pbkdf2_sha512"]), (1, 1))
        harness.run([MITU, "passwd", self.file, "old", "--delete"])
        self.assertNotIn("old", self.file.read_text())


if __name__ == "__main__":
    unittest.main()
