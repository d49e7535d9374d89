"""mosquitto_pub and mosquitto_sub, over MQTT 3.1.1 and 5."""

import json
import unittest

import harness
from harness import eventually


class Object(dict):
    """A JSON object that remembers its pairs: names of user properties repeat."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.pairs = pairs


class Sub:
    """A running mosquitto_sub. Messages come as dictionaries, as its --json format (%j) has them."""

    MARK = ">>"

    def __init__(self, broker, version, *arguments):
        self.process = harness.Process(
            # stdbuf: into a pipe, mosquitto_sub would keep its output to itself.
            ["stdbuf", "-oL", "mosquitto_sub", "-d", "-h", broker.host, "-p", broker.port]
            + ["-V", version, "-F", self.MARK + "%j", *arguments]
        )
        eventually(self._is_subscribed, lambda: f"SUBACK\n{self.process.output()}")

    def _is_subscribed(self):
        if not self.process.is_running():
            raise AssertionError(f"mosquitto_sub ended:\n{self.process.output()}")
        return any(line.startswith("Subscribed (mid") for line in list(self.process.lines))

    @property
    def messages(self):
        lines = [line for line in list(self.process.lines) if line.startswith(self.MARK)]
        return [json.loads(line[len(self.MARK) :], object_pairs_hook=Object) for line in lines]

    @property
    def payloads(self):
        return [message["payload"] for message in self.messages]

    def expect(self, count):
        eventually(
            lambda: len(self.messages) >= count,
            lambda: f"{count} messages; there are {self.payloads}",
        )
        return self.messages


class ClientsCase(harness.BrokerCase):
    def sub(self, *arguments):
        if self.version == "5" and harness.BROKER == "mosquitto":
            # mosquitto 2.0.11 sends more than Receive Maximum allows (mosquitto_sub's is 20), and
            # its own client then ends with a protocol error.
            arguments = ("-D", "connect", "receive-maximum", "65535", *arguments)
        sub = Sub(self.broker, self.version, *arguments)
        self.addCleanup(sub.process.kill)
        return sub

    def pub(self, *arguments, stdin=None):
        harness.run(
            ["mosquitto_pub", "-h", self.broker.host, "-p", self.broker.port]
            + ["-V", self.version, *arguments],
            stdin=stdin,
        )

    def persistent(self, client_id):
        """Arguments that make a session outlive its connection."""
        arguments = ["-c", "-i", client_id]
        if self.version == "5":
            arguments += ["-x", "3600"]
        return arguments


class Matrix:
    """What both versions of the protocol do."""

    def test_each_qos_arrives_as_it_was_sent(self):
        for qos in (0, 1, 2):
            with self.subTest(qos=qos):
                topic = self.topic(str(qos))
                sub = self.sub("-t", topic, "-q", "2")
                self.pub("-t", topic, "-m", f"at {qos}", "-q", str(qos))
                message = sub.expect(1)[0]
                self.assertEqual(message["payload"], f"at {qos}")
                self.assertEqual(message["topic"], topic)
                self.assertEqual(message["qos"], qos)
                self.assertEqual(message["retain"], 0)

    def test_the_lower_of_the_two_qos_counts(self):
        for published, subscribed in ((2, 1), (2, 0), (1, 0), (0, 2), (1, 2)):
            with self.subTest(published=published, subscribed=subscribed):
                topic = self.topic(f"{published}{subscribed}")
                sub = self.sub("-t", topic, "-q", str(subscribed))
                self.pub("-t", topic, "-m", "x", "-q", str(published))
                self.assertEqual(sub.expect(1)[0]["qos"], min(published, subscribed))

    def test_many_messages_arrive_once_and_in_order(self):
        lines = [f"line {index}" for index in range(500)]
        for qos in (1, 2):
            with self.subTest(qos=qos):
                topic = self.topic(str(qos))
                sub = self.sub("-t", topic, "-q", str(qos))
                self.pub("-t", topic, "-q", str(qos), "-l", stdin="\n".join(lines).encode())
                sub.expect(len(lines))
                self.assertEqual(sub.payloads, lines)

    def test_wildcards_match_levels(self):
        one = self.sub("-t", self.topic("+", "level"), "-q", "1")
        rest = self.sub("-t", self.topic("#"), "-q", "1")
        for levels in (("a", "level"), ("a", "b", "level"), ("b", "level"), ("end",)):
            self.pub("-t", self.topic(*levels), "-m", "/".join(levels), "-q", "1")
        rest.expect(4)
        self.assertEqual(rest.payloads, ["a/level", "a/b/level", "b/level", "end"])
        one.expect(2)
        self.assertEqual(one.payloads, ["a/level", "b/level"])

    def test_dollar_topics_hide_from_leading_wildcards(self):
        # [MQTT-4.7.2-1]; the fence topic shows that nothing came before it.
        sub = self.sub("-t", f"+/{self.name}")
        self.pub("-t", f"$hidden/{self.name}", "-m", "hidden")
        self.pub("-t", f"seen/{self.name}", "-m", "seen")
        sub.expect(1)
        self.assertEqual(sub.payloads, ["seen"])

    def test_a_retained_message_waits_for_subscribers(self):
        topic = self.topic("state")
        live = self.sub("-t", topic, "-q", "1")
        self.pub("-t", topic, "-m", "old", "-r", "-q", "1")
        self.pub("-t", topic, "-m", "new", "-r", "-q", "1")
        self.assertEqual([m["retain"] for m in live.expect(2)], [0, 0])
        late = self.sub("-t", self.topic("#"), "-q", "1")
        message = late.expect(1)[0]
        self.assertEqual((message["payload"], message["retain"]), ("new", 1))

    def test_an_empty_retained_message_clears(self):
        topic = self.topic("state")
        self.pub("-t", topic, "-m", "gone soon", "-r", "-q", "1")
        self.pub("-t", topic, "-n", "-r", "-q", "1")
        late = self.sub("-t", topic, "-q", "1")
        self.pub("-t", topic, "-m", "fence", "-q", "1")
        late.expect(1)
        self.assertEqual(late.payloads, ["fence"])

    def test_a_client_that_is_killed_leaves_its_will(self):
        topic = self.topic("will")
        watcher = self.sub("-t", topic, "-q", "2")
        for qos in (0, 1, 2):
            with self.subTest(qos=qos):
                doomed = self.sub(
                    *("-t", self.topic("other"), "--will-topic", topic),
                    *("--will-payload", f"lost {qos}", "--will-qos", str(qos)),
                )
                doomed.process.kill()
                message = watcher.expect(qos + 1)[qos]
                self.assertEqual(message["payload"], f"lost {qos}")
                self.assertEqual(message["qos"], qos)

    def test_a_retained_will_is_retained(self):
        topic = self.topic("will")
        watcher = self.sub("-t", topic, "-q", "1")
        doomed = self.sub(
            *("-t", self.topic("other"), "--will-topic", topic, "--will-payload", "lost"),
            "--will-retain",
        )
        doomed.process.kill()
        watcher.expect(1)
        late = self.sub("-t", topic)
        self.assertEqual(late.expect(1)[0]["retain"], 1)

    def test_a_client_that_says_goodbye_leaves_no_will(self):
        topic = self.topic("will")
        watcher = self.sub("-t", topic, "-q", "1")
        polite = self.sub(  # -C 1: says goodbye after one message
            *("-t", self.topic("other"), "-C", "1"),
            *("--will-topic", topic, "--will-payload", "wrong"),
        )
        self.pub("-t", self.topic("other"), "-m", "you may go")
        self.assertEqual(polite.process.wait(), 0)
        self.pub("-t", topic, "-m", "fence", "-q", "1")
        watcher.expect(1)
        self.assertEqual(watcher.payloads, ["fence"])

    def test_a_shared_subscription_deals_its_messages_out(self):
        topic = self.topic("work")
        members = [self.sub("-t", f"$share/crew/{topic}", "-q", "1") for _ in range(3)]
        everyone = self.sub("-t", topic, "-q", "1")
        payloads = [str(index) for index in range(120)]
        self.pub("-t", topic, "-q", "1", "-l", stdin="\n".join(payloads).encode())
        everyone.expect(120)
        self.assertEqual(everyone.payloads, payloads)
        eventually(
            lambda: sum(len(member.messages) for member in members) >= 120,
            lambda: f"120 in all; there are {[len(member.messages) for member in members]}",
        )
        dealt = [payload for member in members for payload in member.payloads]
        self.assertEqual(sorted(dealt, key=int), payloads)
        for member in members:
            self.assertGreater(len(member.messages), 0)
            self.assertEqual(member.payloads, sorted(member.payloads, key=int))

    def test_a_session_keeps_what_came_while_it_was_away(self):
        topic = self.topic("inbox")
        arguments = (*self.persistent(self.name), "-t", topic)
        for qos in (1, 2):
            with self.subTest(qos=qos):
                sub = self.sub(*arguments, "-q", str(qos))
                self.assertEqual(sub.process.terminate(), 0)
                lines = [f"{qos}: {index}" for index in range(50)]
                self.pub("-t", topic, "-q", str(qos), "-l", stdin="\n".join(lines).encode())
                back = self.sub(*arguments, "-q", str(qos))
                back.expect(50)
                self.assertEqual(back.payloads, lines)
                self.assertEqual({message["qos"] for message in back.messages}, {qos})
                back.process.terminate()

    def test_a_killed_client_resumes_its_session(self):
        topic = self.topic("inbox")
        arguments = (*self.persistent(self.name), "-t", topic, "-q", "2")
        self.sub(*arguments).process.kill()
        self.pub("-t", topic, "-q", "2", "-m", "while away")
        self.assertEqual(self.sub(*arguments).expect(1)[0]["payload"], "while away")

    def test_a_clean_start_forgets(self):
        topic = self.topic("inbox")
        sub = self.sub(*self.persistent(self.name), "-t", topic, "-q", "1")
        sub.process.terminate()
        self.pub("-t", topic, "-q", "1", "-m", "forgotten")
        fresh = self.sub("-i", self.name, "-t", topic, "-q", "1")
        self.pub("-t", topic, "-q", "1", "-m", "fence")
        fresh.expect(1)
        self.assertEqual(fresh.payloads, ["fence"])

    def test_nearly_a_megabyte_passes_whole(self):
        topic = self.topic("large")
        payload = "0123456789abcdef" * 61440
        sub = self.sub("-t", topic, "-q", "1")
        path = self.broker.directory / f"{self.name}.txt"
        path.write_text(payload)
        self.pub("-t", topic, "-q", "1", "-f", path)
        self.assertEqual(sub.expect(1)[0]["payload"], payload)

    def test_an_empty_payload_passes(self):
        topic = self.topic("empty")
        sub = self.sub("-t", topic, "-q", "1")
        self.pub("-t", topic, "-q", "1", "-n")
        self.assertEqual(sub.expect(1)[0]["payloadlen"], 0)

    def test_unsubscribing_ends_the_flow(self):
        # -U unsubscribes right after the SUBSCRIBE of -t; the other filter goes on.
        sub = self.sub("-t", self.topic("on"), "-t", self.topic("off"), "-U", self.topic("off"))
        eventually(lambda: any("UNSUBACK" in line for line in list(sub.process.lines)), "UNSUBACK")
        self.pub("-t", self.topic("off"), "-m", "wrong")
        self.pub("-t", self.topic("on"), "-m", "fence")
        sub.expect(1)
        self.assertEqual(sub.payloads, ["fence"])


class Version311(Matrix, ClientsCase):
    version = "311"


class Version5(Matrix, ClientsCase):
    version = "5"

    def test_properties_pass_unchanged(self):
        topic = self.topic("with properties")
        sub = self.sub("-t", topic, "-q", "1")
        publish = []
        for name, *values in (
            ("payload-format-indicator", "1"),
            ("message-expiry-interval", "600"),
            ("content-type", "application/json"),
            ("response-topic", self.topic("answers")),
            ("correlation-data", "request-7"),
            ("user-property", "colour", "red"),
            ("user-property", "colour", "blue"),
            ("user-property", "", ""),
        ):
            publish += ["-D", "publish", name, *values]
        self.pub("-t", topic, "-q", "1", "-m", "{}", *publish)
        properties = sub.expect(1)[0]["properties"]
        self.assertEqual(properties["payload-format-indicator"], 1)
        self.assertEqual(properties["content-type"], "application/json")
        self.assertEqual(properties["response-topic"], self.topic("answers"))
        self.assertEqual(properties["correlation-data"], "request-7")
        self.assertIn(properties["message-expiry-interval"], range(590, 601))
        self.assertEqual(
            properties["user-properties"].pairs, [("colour", "red"), ("colour", "blue"), ("", "")]
        )

    def test_retained_properties_are_kept(self):
        topic = self.topic("state")
        self.pub(
            *("-t", topic, "-q", "1", "-r", "-m", "x"),
            *("-D", "publish", "content-type", "text/plain"),
            *("-D", "publish", "user-property", "k", "v"),
        )
        properties = self.sub("-t", topic).expect(1)[0]["properties"]
        self.assertEqual(properties["content-type"], "text/plain")
        self.assertEqual(properties["user-properties"].pairs, [("k", "v")])

    def test_a_goodbye_may_ask_for_the_will(self):
        # On SIGTERM, mosquitto_sub disconnects with reason 0x04.
        topic = self.topic("will")
        watcher = self.sub("-t", topic)
        leaving = self.sub(
            "-t", self.topic("other"), "--will-topic", topic, "--will-payload", "as asked"
        )
        leaving.process.terminate()
        self.assertEqual(watcher.expect(1)[0]["payload"], "as asked")

    def test_a_session_expires(self):
        # Two clients: the will of the first, delayed beyond its session, tells when it is over.
        topic = self.topic("ended")
        watcher = self.sub("-t", topic)
        arguments = ("-c", "-i", self.name, "-t", self.topic("inbox"), "-q", "1")
        short = self.sub(
            *arguments,
            *("-x", "1"),
            *("--will-topic", topic, "--will-payload", "over"),
            *("-D", "will", "will-delay-interval", "3600"),
        )
        short.process.kill()
        watcher.expect(1)
        self.pub("-t", self.topic("inbox"), "-q", "1", "-m", "nobody is there")
        back = self.sub(*arguments)
        self.pub("-t", self.topic("inbox"), "-q", "1", "-m", "fence")
        back.expect(1)
        self.assertEqual(back.payloads, ["fence"])

    def test_a_request_gets_its_response(self):
        # mosquitto_rr asks with a response topic; a responder made of _sub and _pub answers.
        requests = self.sub("-t", self.topic("requests"), "-q", "1")
        asker = harness.Process(
            ["mosquitto_rr", "-h", self.broker.host, "-p", self.broker.port, "-V", "5"]
            + ["-t", self.topic("requests"), "-e", self.topic("answers"), "-m", "2+2", "-q", "1"]
        )
        self.addCleanup(asker.kill)
        properties = requests.expect(1)[0]["properties"]
        self.pub("-t", properties["response-topic"], "-m", "4", "-q", "1")
        self.assertEqual(asker.wait(), 0)
        self.assertEqual(asker.output(), "4")


class AcrossVersions(ClientsCase):
    version = "5"

    def test_version_5_and_311_talk_to_each_other(self):
        old = Sub(self.broker, "311", "-t", self.topic("#"), "-q", "2")
        self.addCleanup(old.process.kill)
        new = self.sub("-t", self.topic("#"), "-q", "2")
        self.pub(
            *("-t", self.topic("a"), "-m", "from 5", "-q", "2"),
            *("-D", "publish", "content-type", "text/plain"),
        )
        self.version = "311"
        self.pub("-t", self.topic("a"), "-m", "from 311", "-q", "2")
        for sub in (old, new):
            sub.expect(2)
            self.assertEqual(sub.payloads, ["from 5", "from 311"])

    def test_version_31_is_served_too(self):
        old = Sub(self.broker, "mqttv31", "-t", self.topic("#"), "-q", "1")
        self.addCleanup(old.process.kill)
        self.version = "mqttv31"
        self.pub("-t", self.topic("a"), "-m", "from 3.1", "-q", "1")
        self.assertEqual(old.expect(1)[0]["payload"], "from 3.1")


if __name__ == "__main__":
    unittest.main()
