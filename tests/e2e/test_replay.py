"""Real telemetry through the real binaries: every reading arrives, in order, with its values.

`mitu fleet simulate` deals the rows of a CSV file to 200 devices (row number modulo 200), which send
them through mitud with two shards; paho subscribes to all. The file is the office room's telemetry
where it lies beside the repository, otherwise a generated one of the same shape.
"""

import csv
import json
import pathlib
import random
import tempfile
import unittest

import harness
from harness import eventually
from paho_client import PahoCase

DEVICES = 200
ROWS = 8143
REAL_FILE = harness.REPOSITORY.parent / "shared/data/occupancy.csv"
COLUMNS = ("date", "Temperature", "Humidity", "Light", "CO2", "HumidityRatio", "Occupancy")


def write_like_the_real_one(path):
    """One reading a minute; the first column has no name, as R writes its row numbers."""
    generator = random.Random(0x0CC)
    temperature, humidity, co2 = 23.18, 27.27, 721.25
    with open(path, "w", encoding="utf-8") as file:
        file.write(",".join(f'"{name}"' for name in COLUMNS) + "\n")
        for row in range(1, ROWS + 1):
            minute = 17 * 60 + 51 + row - 1
            day, hour = 4 + minute // 1440, minute // 60 % 24
            date = f"2015-02-{day:02d} {hour:02d}:{minute % 60:02d}:{generator.choice((0, 59)):02d}"
            temperature += generator.uniform(-0.05, 0.05)
            humidity += generator.uniform(-0.1, 0.1)
            co2 = max(400, co2 + generator.uniform(-5, 5))
            light = generator.choice((0, 0, 0, 419, 426, 429.5, 433))
            values = f"{temperature:.6g},{humidity:.6g},{light:g},{co2:.6g}"
            ratio = humidity * 1.75e-4 + generator.random() * 1e-6
            file.write(f'"{row}","{date}",{values},{ratio:.15g},{1 if light else 0}\n')


class Replay(PahoCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.file = REAL_FILE
        if not REAL_FILE.is_file():
            cls.file = cls.broker.directory / "generated.csv"
            write_like_the_real_one(cls.file)
        with open(cls.file, encoding="utf-8", newline="") as file:
            header, *cls.rows = csv.reader(file)
        assert tuple(header) == COLUMNS and len(cls.rows) == ROWS, (header, len(cls.rows))

    def wanted(self, device):
        """The readings of one device, in order, each as its row number and its values as text."""
        numbers = range(device if device else DEVICES, ROWS + 1, DEVICES)
        return [(number, self.rows[number - 1][1:]) for number in numbers]

    def reading(self, message):
        """(row number, values as the payload spells them)"""
        found = json.loads(message.payload, parse_float=str, parse_int=str)
        return int(found["row"]), [found[name] for name in COLUMNS]

    def replay(self, qos):
        prefix = f"room{qos}-"
        subscriber = self.client("-all")
        subscriber.subscribe("t/+/telemetry", qos)
        command = [harness.BIN_DIR / "mitu", "fleet", "simulate", "--replay", self.file]
        command += ["--devices", DEVICES, "--prefix", prefix, "--qos", qos, "--json", "--quiet"]
        command += ["--host", self.broker.host, "--port", self.broker.port]
        if harness.BROKER == "mosquitto":
            command.append("--no-policy")
        _, output = harness.run(command, patience_s=harness.PATIENCE_S * 6)
        print(f"QoS {qos}: {output.strip()}", flush=True)
        eventually(
            lambda: len({message.payload for message in list(subscriber.messages)}) >= ROWS,
            lambda: f"{ROWS} readings; there are {len(subscriber.messages)}",
        )
        # Whatever would come twice has come before what is sent only now, to the same subscriber.
        subscriber.publish("t/fence/telemetry", "{}", qos)
        eventually(lambda: "fence" in subscriber.messages[-1].topic, "the fence")
        readings = {}
        for message in subscriber.messages[:-1]:
            self.assertEqual(message.qos, qos)
            device = message.topic.removeprefix(f"t/{prefix}").removesuffix("/telemetry")
            readings.setdefault(int(device), []).append(self.reading(message))
        self.assertEqual(len(readings), DEVICES)
        return readings

    def test_every_reading_arrives_at_least_once_at_qos_1(self):
        for device, readings in self.replay(1).items():
            # Repeats are allowed; each one's first arrival keeps the order [MQTT-4.6.0-2..4].
            first = list(dict.fromkeys((number, tuple(values)) for number, values in readings))
            wanted = [(number, tuple(values)) for number, values in self.wanted(device)]
            self.assertEqual(first, wanted)

    def test_every_reading_arrives_exactly_once_at_qos_2(self):
        for device, readings in self.replay(2).items():
            self.assertEqual(readings, self.wanted(device))


class StandIn(unittest.TestCase):
    def test_the_generated_file_has_the_shape_of_the_real_one(self):
        with tempfile.TemporaryDirectory() as folder:
            generated = pathlib.Path(folder, "generated.csv")
            write_like_the_real_one(generated)
            files = [generated] + [REAL_FILE] * REAL_FILE.is_file()
            for file in files:
                header, *lines = file.read_text(encoding="utf-8").splitlines()
                self.assertEqual(header, ",".join(f'"{name}"' for name in COLUMNS))
                self.assertEqual(len(lines), ROWS)
                for row, line in enumerate(lines, start=1):
                    shape = rf'"{row}","2015-02-\d\d \d\d:\d\d:\d\d"(,[\d.e-]+){{5}},[01]'
                    self.assertRegex(line, f"^{shape}$")


if __name__ == "__main__":
    unittest.main()
