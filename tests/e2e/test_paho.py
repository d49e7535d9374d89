"""python3-paho-mqtt over MQTT 3.1.1 and 5."""

import time
import unittest

import harness
from harness import eventually, mosquitto_cannot
from paho_client import PahoCase, properties


class Matrix:
    """What both versions of the protocol do."""

    def test_each_qos_arrives_as_it_was_sent(self):
        subscriber = self.client("-sub")
        self.assertEqual(subscriber.subscribe(self.topic("#"), 2), 2)
        publisher = self.client("-pub")
        for qos in (0, 1, 2):
            publisher.publish(self.topic(str(qos)), f"at {qos}", qos)
        for qos, message in enumerate(subscriber.expect(3)):
            self.assertEqual((message.topic, message.qos), (self.topic(str(qos)), qos))
            self.assertEqual(message.payload, f"at {qos}".encode())
            self.assertFalse(message.retain)
            self.assertFalse(message.dup)

    def test_granted_qos_is_what_was_asked(self):
        subscriber = self.client()
        for qos in (0, 1, 2):
            self.assertEqual(subscriber.subscribe(self.topic(str(qos)), qos), qos)

    def test_a_thousand_messages_arrive_once_and_in_order(self):
        for qos in (1, 2):
            with self.subTest(qos=qos):
                subscriber, publisher = self.client(f"-sub{qos}"), self.client(f"-pub{qos}")
                subscriber.subscribe(self.topic(str(qos)), qos)
                for index in range(1000):
                    publisher.paho.publish(self.topic(str(qos)), str(index), qos)
                subscriber.expect(1000)
                self.assertEqual(subscriber.payloads, [str(index) for index in range(1000)])

    def test_binary_payloads_pass_unchanged(self):
        subscriber, publisher = self.client("-sub"), self.client("-pub")
        subscriber.subscribe(self.topic("b"))
        for payload in (b"", bytes(range(256)), b"\0" * 1000, bytes(300_000)):
            publisher.publish(self.topic("b"), payload)
        received = [message.payload for message in subscriber.expect(4)]
        self.assertEqual(received, [b"", bytes(range(256)), b"\0" * 1000, bytes(300_000)])

    def test_retained_messages(self):
        publisher = self.client("-pub")
        for level in ("a", "b", "c"):
            publisher.publish(self.topic(level), f"old {level}", retain=True)
            publisher.publish(self.topic(level), f"new {level}", retain=True)
        publisher.publish(self.topic("b"), "", retain=True)
        late = self.client("-late")
        late.subscribe(self.topic("+"))
        messages = late.expect(2)
        self.assertEqual(sorted(late.payloads), ["new a", "new c"])
        self.assertTrue(all(message.retain for message in messages))
        publisher.publish(self.topic("a"), "live", retain=True)
        self.assertFalse(late.expect(3)[2].retain)  # [MQTT-3.3.1-8], [MQTT-3.3.1-12]

    def test_overlapping_subscriptions_of_one_filter_replace_each_other(self):
        subscriber, publisher = self.client("-sub"), self.client("-pub")
        subscriber.subscribe(self.topic("a"), 0)
        subscriber.subscribe(self.topic("a"), 2)  # [MQTT-3.8.4-3]
        publisher.publish(self.topic("a"), "x", 2)
        self.assertEqual(subscriber.expect(1)[0].qos, 2)

    def test_the_will_of_a_lost_client(self):
        watcher = self.client("-watcher")
        watcher.subscribe(self.topic("will"))
        will = {"topic": self.topic("will"), "payload": "lost", "qos": 1, "retain": True}
        self.client("-lost", will=will).drop()
        self.assertEqual(watcher.expect(1)[0].payload, b"lost")
        late = self.client("-late")
        late.subscribe(self.topic("will"))
        self.assertTrue(late.expect(1)[0].retain)

    def test_a_goodbye_drops_the_will(self):
        watcher = self.client("-watcher")
        watcher.subscribe(self.topic("will"))
        self.client("-gone", will={"topic": self.topic("will"), "payload": "wrong"}).leave()
        self.client("-pub").publish(self.topic("will"), "fence")
        watcher.expect(1)
        self.assertEqual(watcher.payloads, ["fence"])

    def test_shared_subscriptions_deal_out(self):
        members = [self.client(f"-{index}") for index in range(3)]
        for member in members:
            member.subscribe(f"$share/crew/{self.topic('work')}", 1)
        publisher = self.client("-pub")
        for index in range(90):
            publisher.publish(self.topic("work"), str(index))
        eventually(
            lambda: sum(len(member.messages) for member in members) >= 90,
            lambda: f"90 in all; there are {[len(member.messages) for member in members]}",
        )
        dealt = [payload for member in members for payload in member.payloads]
        self.assertEqual(sorted(map(int, dealt)), list(range(90)))
        self.assertTrue(all(member.messages for member in members))

    def test_a_session_is_resumed(self):
        first = self.client("-away", clean=False, connect_properties=self.keep())
        self.assertFalse(first.connack[0])
        first.subscribe(self.topic("inbox"), 1)
        first.leave()
        publisher = self.client("-pub")
        for index in range(20):
            publisher.publish(self.topic("inbox"), str(index))
        back = self.client("-away", clean=False, connect_properties=self.keep())
        self.assertTrue(back.connack[0])
        back.expect(20)
        self.assertEqual(back.payloads, [str(index) for index in range(20)])
        back.leave()
        fresh = self.client("-away", clean=True)
        self.assertFalse(fresh.connack[0])

    def test_unsubscribing_ends_the_flow(self):
        subscriber, publisher = self.client("-sub"), self.client("-pub")
        subscriber.subscribe(self.topic("on"))
        subscriber.subscribe(self.topic("off"))
        subscriber.unsubscribe(self.topic("off"))
        publisher.publish(self.topic("off"), "wrong")
        publisher.publish(self.topic("on"), "fence")
        subscriber.expect(1)
        self.assertEqual(subscriber.payloads, ["fence"])

    def test_the_newest_connection_takes_over(self):
        first = self.client("-same")
        second = self.client("-same")
        eventually(lambda: first.disconnect, "the first one is closed")
        first.paho.loop_stop(force=True)  # or paho connects again, and takes over in its turn
        second.subscribe(self.topic("a"))
        self.client("-pub").publish(self.topic("a"), "here")
        self.assertEqual(second.expect(1)[0].payload, b"here")

    def test_a_client_publishes_to_itself(self):
        client = self.client()
        client.subscribe(self.topic("a"))
        client.publish(self.topic("a"), "echo", 2)
        self.assertEqual(client.expect(1)[0].payload, b"echo")


class Version311(Matrix, PahoCase):
    version = 4


class Version5(Matrix, PahoCase):
    version = 5

    def test_properties_of_a_message(self):
        subscriber, publisher = self.client("-sub"), self.client("-pub")
        subscriber.subscribe(self.topic("a"))
        sent = properties(
            "PUBLISH",
            PayloadFormatIndicator=1,
            ContentType="text/plain",
            ResponseTopic="answers",
            CorrelationData=b"\0\1\2",
            UserProperty=[("k", "1"), ("k", "2"), ("ü", "ö")],
        )
        publisher.publish(self.topic("a"), "x", pub_properties=sent)
        got = subscriber.expect(1)[0].properties
        self.assertEqual(got.PayloadFormatIndicator, 1)
        self.assertEqual(got.ContentType, "text/plain")
        self.assertEqual(got.ResponseTopic, "answers")
        self.assertEqual(got.CorrelationData, b"\0\1\2")
        self.assertEqual(got.UserProperty, [("k", "1"), ("k", "2"), ("ü", "ö")])

    def test_an_assigned_client_id_is_told(self):
        self.name = ""
        first, second = self.client(), self.client()
        ids = [client.connack[2].AssignedClientIdentifier for client in (first, second)]
        self.assertTrue(all(ids))
        self.assertNotEqual(*ids)

    def test_subscription_identifiers(self):
        subscriber, publisher = self.client("-sub"), self.client("-pub")
        for identifier, topic in ((7, self.topic("a")), (268_435_455, self.topic("b"))):
            made = properties("SUBSCRIBE", SubscriptionIdentifier=identifier)
            subscriber.subscribe(topic, sub_properties=made)
        subscriber.subscribe(self.topic("c"))
        for level in ("a", "b", "c"):
            publisher.publish(self.topic(level), level)
        found = [
            getattr(message.properties, "SubscriptionIdentifier", None)
            for message in subscriber.expect(3)
        ]
        self.assertEqual(found, [[7], [268_435_455], None])

    def test_a_message_names_every_subscription_that_matched(self):
        subscriber, publisher = self.client("-sub"), self.client("-pub")
        for identifier, topic in ((1, self.topic("a")), (2, self.topic("+")), (3, self.topic("#"))):
            made = properties("SUBSCRIBE", SubscriptionIdentifier=identifier)
            subscriber.subscribe(topic, sub_properties=made)
        publisher.publish(self.topic("a"), "x")
        publisher.publish(self.topic("other", "fence"), "fence")
        # One copy with all of them, or one copy each [MQTT-3.3.4-3..5].
        eventually(lambda: "fence" in subscriber.payloads, "fence")
        copies = [message for message in subscriber.messages if message.payload == b"x"]
        found = [one for message in copies for one in message.properties.SubscriptionIdentifier]
        self.assertEqual(sorted(found), [1, 2, 3])

    def test_no_local_keeps_ones_own_messages_away(self):
        client, other = self.client("-self"), self.client("-other")
        client.subscribe(self.topic("a"), noLocal=True)
        client.publish(self.topic("a"), "own")
        other.publish(self.topic("a"), "fence")
        client.expect(1)
        self.assertEqual(client.payloads, ["fence"])

    def test_retain_handling(self):
        publisher = self.client("-pub")
        publisher.publish(self.topic("a"), "kept", retain=True)
        always, once, never = self.client("-0"), self.client("-1"), self.client("-2")
        for _ in range(2):
            always.subscribe(self.topic("a"), retainHandling=0)
            once.subscribe(self.topic("a"), retainHandling=1)
            never.subscribe(self.topic("a"), retainHandling=2)
        publisher.publish(self.topic("a"), "fence")
        for client, wanted in ((always, 2), (once, 1), (never, 0)):
            client.expect(wanted + 1)
            self.assertEqual(client.payloads, ["kept"] * wanted + ["fence"])

    def test_retain_as_published(self):
        plain, as_published = self.client("-0"), self.client("-1")
        plain.subscribe(self.topic("a"), retainAsPublished=False)
        as_published.subscribe(self.topic("a"), retainAsPublished=True)
        publisher = self.client("-pub")
        publisher.publish(self.topic("a"), "x", retain=True)
        publisher.publish(self.topic("a"), "y", retain=False)
        self.assertEqual([message.retain for message in plain.expect(2)], [False, False])
        self.assertEqual([message.retain for message in as_published.expect(2)], [True, False])

    def test_expiry_counts_down_while_a_message_waits(self):
        away = self.client("-away", clean=False, connect_properties=self.keep())
        away.subscribe(self.topic("a"), 1)
        away.leave()
        publisher = self.client("-pub")
        for name, seconds in (("short", 1), ("long", 100)):
            made = properties("PUBLISH", MessageExpiryInterval=seconds)
            publisher.publish(self.topic("a"), name, pub_properties=made)
        publisher.publish(self.topic("a"), "for ever")
        harness.let_time_pass(2.1)
        back = self.client("-away", clean=False, connect_properties=self.keep())
        messages = back.expect(2)
        self.assertEqual(back.payloads, ["long", "for ever"])
        self.assertIn(messages[0].properties.MessageExpiryInterval, range(90, 99))
        self.assertFalse(hasattr(messages[1].properties, "MessageExpiryInterval"))

    def test_a_retained_message_expires(self):
        publisher = self.client("-pub")
        made = properties("PUBLISH", MessageExpiryInterval=1)
        publisher.publish(self.topic("a"), "short", retain=True, pub_properties=made)
        publisher.publish(self.topic("b"), "stays", retain=True)
        harness.let_time_pass(2.1)
        late = self.client("-late")
        late.subscribe(self.topic("+"))
        publisher.publish(self.topic("c"), "fence")
        late.expect(2)
        self.assertEqual(late.payloads, ["stays", "fence"])

    def test_topic_aliases_of_the_client(self):
        subscriber, publisher = self.client("-sub"), self.client("-pub")
        subscriber.subscribe(self.topic("#"))
        maximum = publisher.connack[2].TopicAliasMaximum
        self.assertGreater(maximum, 1)
        for alias, level in ((1, "a"), (maximum, "b")):
            made = properties("PUBLISH", TopicAlias=alias)
            publisher.publish(self.topic(level), f"{level} set", pub_properties=made)
        # paho does not leave topics out by itself; an empty one is what it sends when told to.
        for alias, level in ((1, "a"), (maximum, "b")):
            made = properties("PUBLISH", TopicAlias=alias)
            publisher.publish("", f"{level} used", pub_properties=made)
        subscriber.expect(4)
        for level in ("a", "b"):  # order is a promise per topic
            got = [m.payload for m in subscriber.messages if m.topic == self.topic(level)]
            self.assertEqual(got, [f"{level} set".encode(), f"{level} used".encode()])

    def test_a_session_expires(self):
        first = self.client("-away", clean=False, connect_properties=self.keep(1))
        first.subscribe(self.topic("a"), 1)
        first.leave()
        harness.let_time_pass(2.1)
        back = self.client("-away", clean=False, connect_properties=self.keep(1))
        self.assertFalse(back.connack[0])

    def test_disconnect_may_shorten_the_session(self):
        first = self.client("-away", clean=False, connect_properties=self.keep())
        first.leave(0, properties("DISCONNECT", SessionExpiryInterval=0))
        back = self.client("-away", clean=False, connect_properties=self.keep())
        self.assertFalse(back.connack[0])

    def test_a_will_is_delayed(self):
        watcher = self.client("-watcher")
        watcher.subscribe(self.topic("will"))
        will = {
            "topic": self.topic("will"),
            "payload": "lost",
            "properties": properties("WILLMESSAGE", WillDelayInterval=2, ContentType="text/plain"),
        }
        lost = self.client("-lost", will=will, connect_properties=self.keep())
        dropped_at = time.monotonic()
        lost.drop()
        message = watcher.expect(1)[0]
        self.assertGreater(time.monotonic() - dropped_at, 1.9)
        self.assertEqual(message.properties.ContentType, "text/plain")

    def test_disconnect_with_will(self):
        watcher = self.client("-watcher")
        watcher.subscribe(self.topic("will"))
        self.client("-leaving", will={"topic": self.topic("will"), "payload": "x"}).leave(0x04)
        self.assertEqual(watcher.expect(1)[0].payload, b"x")

    @mosquitto_cannot("closes without a reason")
    def test_take_over_is_explained(self):
        first = self.client("-same")
        self.client("-same")
        eventually(lambda: first.disconnect, "the first one is closed")
        first.paho.loop_stop(force=True)
        self.assertEqual(first.disconnect[0], 0x8E)

    def test_the_broker_states_its_limits(self):
        told = self.client().connack[2]
        self.assertGreater(told.TopicAliasMaximum, 0)
        self.assertGreater(getattr(told, "ReceiveMaximum", 65535), 0)
        for name in (
            "RetainAvailable",
            "WildcardSubscriptionAvailable",
            "SubscriptionIdentifierAvailable",
            "SharedSubscriptionAvailable",
        ):
            self.assertEqual(getattr(told, name, 1), 1)
        self.assertFalse(hasattr(told, "MaximumQoS"))

    def test_a_message_above_the_clients_maximum_is_left_out(self):
        small = self.client("-sub", connect_properties=properties("CONNECT", MaximumPacketSize=300))
        small.subscribe(self.topic("a"))
        publisher = self.client("-pub")
        publisher.publish(self.topic("a"), "x" * 400, 0)
        publisher.publish(self.topic("a"), "fits", 0)
        small.expect(1)
        self.assertEqual(small.payloads, ["fits"])

    def test_more_messages_than_receive_maximum_arrive(self):
        narrow = self.client("-sub", connect_properties=properties("CONNECT", ReceiveMaximum=2))
        publisher = self.client("-pub")
        for qos in (1, 2):
            narrow.subscribe(self.topic(str(qos)), qos)
            for index in range(100):
                publisher.paho.publish(self.topic(str(qos)), str(index), qos)
        narrow.expect(200)
        for qos in (1, 2):
            got = [int(m.payload) for m in narrow.messages if m.topic == self.topic(str(qos))]
            self.assertEqual(got, list(range(100)))

    def test_a_request_gets_its_response(self):
        responder, asker = self.client("-responder"), self.client("-asker")

        def answer(_client, _data, message):
            made = properties("PUBLISH", CorrelationData=message.properties.CorrelationData)
            text = message.payload.decode().upper()
            responder.paho.publish(message.properties.ResponseTopic, text, 1, properties=made)

        responder.paho.on_message = answer
        responder.subscribe(self.topic("requests"))
        asker.subscribe(self.topic("answers"))
        for index in range(20):
            made = properties(
                "PUBLISH",
                ResponseTopic=self.topic("answers"),
                CorrelationData=f"question {index}".encode(),
            )
            asker.publish(self.topic("requests"), f"a{index}", pub_properties=made)
        for index, message in enumerate(asker.expect(20)):
            self.assertEqual(message.payload, f"A{index}".encode())
            self.assertEqual(message.properties.CorrelationData, f"question {index}".encode())

    @mosquitto_cannot("names none")
    def test_publishing_to_nobody_says_so(self):
        publisher = self.client("-pub")
        reasons = []
        publisher.paho.on_publish = lambda *arguments: reasons.append(arguments)
        publisher.publish(self.topic("nobody"), "x", 1)
        # paho 1.6 does not show the reason of a PUBACK; that it took 0x10 for success is the test.
        self.assertEqual(len(reasons), 1)

    def test_unsubscribing_says_whether_there_was_a_subscription(self):
        client = self.client()
        client.subscribe(self.topic("a"))
        self.assertEqual(client.unsubscribe(self.topic("a")), [0x00])
        self.assertEqual(client.unsubscribe(self.topic("a")), [0x11])

    def test_a_server_keep_alive_if_given_is_obeyed(self):
        # Without a policy the server has nothing to ask for; test_policies has devices that it
        # tells.
        client = self.client(keep_alive_s=2)
        told = getattr(client.connack[2], "ServerKeepAlive", 2)
        self.assertEqual(told, 2)
        harness.let_time_pass(4)
        client.subscribe(self.topic("a"))  # paho has pinged meanwhile; it is still there


class AcrossVersions(PahoCase):
    def test_311_and_5_talk_to_each_other(self):
        old, new = self.client("-old", version=4), self.client("-new", version=5)
        for client in (old, new):
            client.subscribe(self.topic("#"))
        made = properties("PUBLISH", ContentType="x", TopicAlias=1)
        new.publish(self.topic("a"), "from 5", pub_properties=made)
        old.publish(self.topic("a"), "from 311")
        for client in (old, new):
            client.expect(2)
            self.assertEqual(client.payloads, ["from 5", "from 311"])


if __name__ == "__main__":
    unittest.main()
