"""`mitu store`: what a server keeps is checked, counted, copied and moved, and a server goes on with it."""

import json
import shutil
import stat
import threading
import unittest

import harness
import raw_mqtt as mqtt
from harness import only_mitud

QUEUED = 20


def fill(broker):
    """A session that is away with messages, one without, and what is retained."""
    with mqtt.Connection(broker) as away, mqtt.Connection(broker) as publisher:
        for connection, name in ((away, "away"), (publisher, "publisher")):
            lasting = mqtt.block(mqtt.prop.session_expiry(3600))
            connection.hello(client_id=name, clean=False, properties=lasting)
        away.send(mqtt.subscribe(1, ("load/#", 1)))
        away.expect(mqtt.SUBACK)
        away.send(mqtt.disconnect())
        away.receive_until_closed()
        for number in range(QUEUED):
            publish(publisher, number + 1, "load/1", f"m{number}".encode())
        publish(publisher, 100, "kept/state", b"on", retain=True)


def publish(connection, packet_id, topic, payload, retain=False):
    """Returns once it is acknowledged."""
    connection.send(mqtt.publish(topic, payload, qos=1, packet_id=packet_id, retain=retain))
    assert connection.expect(mqtt.PUBACK).ack_reason in (0, 0x10)


def queued_for(broker, name, count):
    """What a session gets when it comes back."""
    with mqtt.Connection(broker) as back:
        lasting = mqtt.block(mqtt.prop.session_expiry(3600))
        answer = back.hello(client_id=name, clean=False, properties=lasting)
        assert answer.session_present, answer
        payloads = []
        for _ in range(count):
            message = back.expect(mqtt.PUBLISH)
            payloads.append(message.payload(5).decode())
            back.send(mqtt.ack(mqtt.PUBACK, message.packet_id))
        return payloads


def retained(broker, topic):
    with mqtt.Connection(broker) as asker:
        asker.hello(client_id="asker")
        asker.send(mqtt.subscribe(1, (topic, 0)))
        asker.expect(mqtt.SUBACK)
        return asker.expect(mqtt.PUBLISH).payload(5)


class StoreCase(unittest.TestCase):
    def setUp(self):
        self.broker = harness.Broker(durability="sync")
        self.addCleanup(self.broker.remove)
        self.data = self.broker.directory / "data"
        fill(self.broker)

    def mitu(self, *words, status=0, stdin=None):
        command = [harness.BIN_DIR / "mitu", "store", *words]
        found, output = harness.run(command, check=False, stdin=stdin)
        self.assertEqual(found, status, output)
        return output

    def put_in_place(self, directory):
        """The server's data directory is this one from now on."""
        shutil.move(self.data, f"{self.data}.before")
        shutil.move(directory, self.data)

    def assert_all_is_there(self):
        self.assertEqual(
            queued_for(self.broker, "away", QUEUED), [f"m{number}" for number in range(QUEUED)]
        )
        self.assertEqual(retained(self.broker, "kept/state"), b"on")

    def files(self, ending):
        found = (path for path in (self.data / "store").iterdir() if path.name.endswith(ending))
        return sorted(found, key=lambda path: path.stat().st_size)


@only_mitud("its own store")
class OfAStoppedServer(StoreCase):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.broker.stop(), 0)

    def test_is_counted_and_sound(self):
        check = json.loads(self.mitu("check", self.data, "--json"))
        self.assertTrue(check["sound"], check)
        rows = {name: family["rows"] for name, family in check["families"].items()}
        self.assertEqual((rows["sessions"], rows["queue"], rows["retained"]), (2, QUEUED, 1))
        output = self.mitu("check", self.data)
        self.assertRegex(output, rf"queue +{QUEUED} rows")
        self.assertRegex(output, r"sound +0 findings in rows")
        stats = json.loads(self.mitu("stats", self.data, "--json"))
        self.assertEqual(stats["families"]["queue"]["rows_estimate"], QUEUED)
        self.assertEqual(stats["starts"], 1)
        self.assertRegex(self.mitu("stats", self.data), rf"queue +about +{QUEUED} rows")

    def test_moves_as_lines_of_json_and_a_server_goes_on_with_it(self):
        lines = self.mitu("export", self.data)
        self.assertEqual(json.loads(lines.splitlines()[0])["mitu_store"], 3)
        self.assertIn("load/1 2 bytes", lines)
        fresh = self.broker.directory / "fresh"
        answer = json.loads(self.mitu("import", fresh, "-", "--json", stdin=lines.encode()))
        self.assertEqual(answer["rows"], len(lines.splitlines()) - 1)
        self.assertEqual(stat.S_IMODE(fresh.stat().st_mode), 0o700)
        self.assertEqual(self.mitu("export", fresh), lines)
        self.put_in_place(fresh)
        self.broker.start()
        self.assert_all_is_there()

    def test_is_not_imported_where_something_is_or_when_a_line_is_wrong(self):
        lines = self.mitu("export", self.data).splitlines()
        self.assertIn("is there already", self.mitu("import", self.data, "-", status=2, stdin=b""))
        lines[2] = "{}"
        file = self.broker.directory / "lines"
        file.write_text("\n".join(lines))
        fresh = self.broker.directory / "fresh"
        output = self.mitu("import", fresh, file, status=1)
        self.assertIn(f"{file}:3: family is missing", output)
        self.assertFalse((fresh / "store").exists())

    def test_is_copied_and_the_copy_can_be_started_from(self):
        copy = self.broker.directory / "copy"
        self.assertRegex(self.mitu("backup", copy, "--from", self.data), r"^ok  .*copy: \d+ files")
        self.assertIn("there already", self.mitu("backup", copy, "--from", self.data, status=1))
        self.assertTrue(json.loads(self.mitu("check", copy, "--json"))["sound"])
        self.put_in_place(copy)
        self.broker.start()
        self.assert_all_is_there()

    def test_with_a_flipped_bit_is_found_with_file_loss_and_remedy_and_starts(self):
        self.broker.start()  # what is in the log goes into tables
        self.assertEqual(self.broker.stop(), 0)
        table = self.files(".sst")[-1]
        damaged = bytearray(table.read_bytes())
        damaged[30] ^= 1  # in the first block of rows
        table.write_bytes(damaged)
        check = json.loads(self.mitu("check", self.data, "--json", status=1))
        self.assertFalse(check["sound"])
        self.assertEqual([found["file"] for found in check["damaged"]], [table.name])
        self.assertGreater(check["damaged"][0]["rows"], 0)
        self.assertIn("quarantine", check["remedies"][0])
        output = self.mitu("check", self.data, status=1)
        self.assertRegex(output, rf"damaged +{table.name} \(\w+, at most \d+ rows\), keys ")
        self.assertIn("restore a backup", output)
        self.assertIn("; see `mitu store check`", self.mitu("export", self.data, status=1))
        self.broker.start()
        self.assertTrue(self.broker.is_running())

    def test_with_a_cut_log_is_found_and_loses_the_end_alone(self):
        log = self.files(".log")[-1]
        log.write_bytes(log.read_bytes()[:-3])
        check = json.loads(self.mitu("check", self.data, "--json", status=1))
        self.assertIn(log.name, check["log_cut"][0])
        self.assertEqual(check["damaged"], [])
        output = self.mitu("check", self.data, status=1)
        self.assertRegex(output, rf"cut +.*{log.name}.*dropping \d+ bytes")
        self.assertRegex(output, r"do +the log is damaged: a start goes on")
        self.broker.start()
        self.assertEqual(queued_for(self.broker, "away", QUEUED)[0], "m0")

    def test_is_named_by_the_data_directory(self):
        self.assertIn(f"lies in: {self.data}", self.mitu("stats", self.data / "store", status=2))
        self.assertIn("holds no store", self.mitu("check", self.broker.directory, status=2))


class Traffic(threading.Thread):
    """Publishes to the session that is away, one after the other, until it is told to end."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self._connection = mqtt.Connection(broker)
        self._ends = threading.Event()
        self.acknowledged = 0
        self.failure = None

    def run(self):
        try:
            with self._connection as publisher:
                publisher.hello(client_id="traffic")
                while not self._ends.is_set():
                    number = self.acknowledged
                    publish(publisher, number % 60_000 + 1, "load/1", f"t{number}".encode())
                    self.acknowledged += 1
        except Exception as error:  # shown by end()
            self.failure = error

    def end(self):
        self._ends.set()
        self.join(harness.PATIENCE_S)
        if self.failure:
            raise self.failure


@only_mitud("its own store")
class OfARunningServer(StoreCase):
    def setUp(self):
        super().setUp()
        self.server = ("--url", f"unix:{self.data}/api.sock")

    def test_is_counted_and_sound(self):
        check = json.loads(self.mitu("check", *self.server, "--json"))
        self.assertTrue(check["sound"], check)
        self.assertEqual(check["families"]["queue"]["rows"], QUEUED)
        self.assertRegex(self.mitu("check", *self.server), r"sound +0 findings in rows")
        stats = json.loads(self.mitu("stats", *self.server, "--json"))
        self.assertEqual(stats["families"]["queue"]["rows_estimate"], QUEUED)
        self.assertIs(stats["accepts_new"], True)
        self.assertRegex(self.mitu("stats", *self.server), r"started 1 times")
        self.assertFalse((self.data / "store" / "checking").exists())

    def test_is_sound_and_copied_while_messages_flow_with_all_that_was_acknowledged(self):
        traffic = Traffic(self.broker)
        traffic.start()
        self.addCleanup(traffic.end)
        copies = []
        for number in range(3):
            harness.eventually(lambda: traffic.acknowledged > 50 * (number + 1), "messages flow")
            before = traffic.acknowledged
            copy = self.broker.directory / f"copy{number}"
            answer = json.loads(self.mitu("backup", copy, *self.server, "--json"))
            self.assertEqual(answer["directory"], str(copy))
            copies.append((copy, before, traffic.acknowledged))
            self.assertTrue(json.loads(self.mitu("check", *self.server, "--json"))["sound"])
        traffic.end()
        self.broker.kill()
        for copy, before, after in copies:
            check = json.loads(self.mitu("check", copy, "--json"))
            self.assertTrue(check["sound"], check)
            rows = check["families"]["queue"]["rows"] - QUEUED
            self.assertTrue(before <= rows <= after + 1, f"{before} <= {rows} <= {after} + 1")
        self.put_in_place(copies[1][0])
        self.broker.start()
        wanted = [f"m{number}" for number in range(QUEUED)]
        wanted += [f"t{number}" for number in range(copies[1][1])]
        self.assertEqual(queued_for(self.broker, "away", len(wanted)), wanted)

    def test_is_asked_for_by_the_api_where_the_directory_is_in_use(self):
        for words in (("check", self.data), ("stats", self.data), ("export", self.data)):
            output = self.mitu(*words, status=2)
            self.assertIn(f"process {self.broker.process.pid} has its store open", output)
        self.assertIn("the same command without DIR", self.mitu("check", self.data, status=2))
        self.assertIn("mitu store backup", self.mitu("export", self.data, status=2))
        copy = self.broker.directory / "copy"
        self.assertIn("without --from", self.mitu("backup", copy, "--from", self.data, status=2))
        self.assertFalse(copy.exists())

    def test_is_not_copied_over_anything_nor_elsewhere_and_the_log_says_who_asked(self):
        for target, why in (
            (self.data, "there already"),
            (self.broker.directory / "no" / "such", "make it first"),
            ("/proc/copy", "another file system"),
        ):
            output = self.mitu("backup", target, *self.server, status=1)
            self.assertIn(why, output)
            self.assertIn("(error 1305)", output)
        copy = self.broker.directory / "copy"
        self.mitu("backup", copy, *self.server)
        self.assertEqual(stat.S_IMODE(copy.stat().st_mode), 0o700)
        audit = [json.loads(line) for line in (self.data / "audit.log").read_text().splitlines()]
        copied = [entry for entry in audit if entry["operation"] == "back_up_store"]
        self.assertEqual([entry["status"] for entry in copied], [409, 409, 409, 201])
        self.assertIn(str(copy), json.dumps(copied[-1]))

    def test_damage_is_found_while_it_runs(self):
        self.mitu("check", *self.server)  # what is in buffers goes into tables
        table = self.files(".sst")[-1]
        damaged = bytearray(table.read_bytes())
        damaged[30] ^= 1
        table.write_bytes(damaged)
        check = json.loads(self.mitu("check", *self.server, "--json", status=1))
        self.assertEqual([found["file"] for found in check["damaged"]], [table.name])
        self.assertTrue(self.broker.is_running())

    def test_nobody_has_one_without_durability(self):
        bare = harness.Broker()
        self.addCleanup(bare.remove)
        server = ("--url", f"unix:{bare.directory}/data/api.sock")
        self.assertIn("this server has no store", self.mitu("stats", *server, status=1))


if __name__ == "__main__":
    unittest.main()
