"""MQTT.js over MQTT 3.1.1 and 5. The cases are in mqttjs/matrix.mjs; each is a test here."""

import os
import shutil
import unittest

import harness

FOLDER = harness.REPOSITORY / "tests/e2e/mqttjs"


def node(version, *arguments, broker=None):
    environment = {
        **os.environ,
        "MITU_E2E_VERSION": str(version),
        "MITU_E2E_HOST": harness.HOST,
        "MITU_E2E_PORT": str(broker.port if broker else 0),
        "MITU_E2E_PATIENCE_S": str(harness.PATIENCE_S),
    }
    return harness.run(
        [shutil.which("node") or "/usr/bin/node", FOLDER / "matrix.mjs", *arguments],
        patience_s=harness.PATIENCE_S * 4,
        environment=environment,
    )[1]


class MqttJsCase(harness.BrokerCase):
    mosquitto_config = ("max_inflight_messages 1000",)  # MQTT.js heeds no Receive Maximum

    def check(self, case):
        node(self.version, case, broker=self.broker)


class Version311(MqttJsCase):
    version = 4


class Version5(MqttJsCase):
    version = 5


def _add_cases():
    if not (FOLDER / "node_modules/mqtt").is_dir():
        raise RuntimeError("MQTT.js is not installed; ./dev setup does it")
    for suite in (Version311, Version5):
        for case in node(suite.version, "--list").split():

            def test(self, case=case):
                self.check(case)

            setattr(suite, f"test_{case}", test)


_add_cases()

if __name__ == "__main__":
    unittest.main()
