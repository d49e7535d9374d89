"""Sessions and flow control, packet by packet: what a client library would hide.

Here the client decides which acknowledgement it withholds, and sees DUP, packet ids and aliases.
"""

import unittest

import harness
import raw_mqtt as m
from harness import eventually, mosquitto_cannot
from raw_mqtt import block, prop


class SessionCase(harness.BrokerCase):
    def connection(self, version=5):
        connection = m.Connection(self.broker, version)
        self.addCleanup(connection.close)
        return connection

    def subscriber(self, qos=2, connect_properties=block(), topic=None, **arguments):
        connection = self.connection()
        connection.hello(client_id=self.name, properties=connect_properties, **arguments)
        connection.send(m.subscribe(1, (topic or self.topic("#"), qos)))
        connection.expect(m.SUBACK)
        return connection

    def resume(self, version=5, session_expiry_s=600):
        connection = self.connection(version)
        properties = block(prop.session_expiry(session_expiry_s)) if version == 5 else None
        connack = connection.hello(client_id=self.name, clean=False, properties=properties)
        self.assertTrue(connack.session_present)
        return connection

    def publisher(self):
        connection = self.connection()
        connection.hello(client_id=self.name + "-publisher")
        return connection

    def publish(self, connection, count, qos, level="m", payload="{}"):
        """Publishes `count` messages and takes their acknowledgements."""
        for index in range(count):
            data = payload.format(index).encode()
            packet_id = index + 1 if qos else None
            connection.send(m.publish(self.topic(level), data, qos=qos, packet_id=packet_id))
            if qos == 1:
                connection.expect(m.PUBACK)
            elif qos == 2:
                connection.expect(m.PUBREC)
                connection.send(m.ack(m.PUBREL, packet_id))
                connection.expect(m.PUBCOMP)


class FlowControl(SessionCase):
    def nothing_more(self, connection):
        """Nothing is under way: the answer to a ping comes next."""
        connection.ping()

    @mosquitto_cannot("2.0.11 sends more than it may once something was acknowledged")
    def test_receive_maximum_bounds_what_is_unacknowledged(self):
        for qos in (1, 2):
            with self.subTest(qos=qos):
                subscriber = self.subscriber(qos, block(prop.receive_maximum(3)))
                publisher = self.publisher()
                self.publish(publisher, 10, qos)
                window = [subscriber.expect(m.PUBLISH) for _ in range(3)]
                self.nothing_more(subscriber)  # [MQTT-3.3.4-9]
                payloads = [packet.payload(5) for packet in window]
                pending = [packet.packet_id for packet in window]
                self.assertEqual(len(set(pending)), 3)
                while pending:
                    packet_id = pending.pop(0)
                    if qos == 1:
                        subscriber.send(m.ack(m.PUBACK, packet_id))
                    else:
                        subscriber.send(m.ack(m.PUBREC, packet_id))
                        subscriber.expect(m.PUBREL)
                        # The quota comes back with PUBCOMP, not before.
                        self.nothing_more(subscriber)
                        subscriber.send(m.ack(m.PUBCOMP, packet_id))
                    if len(payloads) < 10:
                        packet = subscriber.expect(m.PUBLISH)
                        payloads.append(packet.payload(5))
                        pending.append(packet.packet_id)
                    self.nothing_more(subscriber)
                self.assertEqual(payloads, [str(index).encode() for index in range(10)])

    def test_qos_0_passes_a_full_window(self):
        subscriber = self.subscriber(1, block(prop.receive_maximum(1)))
        publisher = self.publisher()
        self.publish(publisher, 2, 1)
        first = subscriber.expect(m.PUBLISH)
        self.publish(publisher, 1, 0, payload="quick")
        self.assertEqual(subscriber.expect(m.PUBLISH).qos, 0)
        subscriber.send(m.ack(m.PUBACK, first.packet_id))
        self.assertEqual(subscriber.expect(m.PUBLISH).payload(5), b"1")

    @mosquitto_cannot("answers PUBREC with 0x97 instead of ending the connection")
    def test_more_than_the_server_can_receive_ends_the_connection(self):
        # [MQTT-3.3.4-7]: QoS 2 without PUBREL piles up.
        publisher = self.connection()
        connack = publisher.hello(client_id=self.name)
        maximum = connack.properties()[0x21][0]
        for packet_id in range(1, maximum + 2):
            publisher.send(m.publish(self.topic("m"), qos=2, packet_id=packet_id))
        *before, last = publisher.receive_until_closed()
        self.assertEqual((last.type, last.disconnect_reason), (m.DISCONNECT, 0x93))
        ids = [packet.packet_id for packet in before if packet.type == m.PUBREC]
        self.assertEqual(ids, list(range(1, len(before) + 1)))
        self.assertLessEqual(len(ids), maximum)

    def test_as_many_as_the_server_can_receive_is_fine(self):
        publisher = self.connection()
        connack = publisher.hello(client_id=self.name)
        maximum = connack.properties().get(0x21, [65535])[0]
        for packet_id in range(1, maximum + 1):
            publisher.send(m.publish(self.topic("m"), qos=2, packet_id=packet_id))
        for packet_id in range(1, maximum + 1):
            self.assertEqual(publisher.expect(m.PUBREC).packet_id, packet_id)
        for packet_id in range(1, maximum + 1):
            publisher.send(m.ack(m.PUBREL, packet_id))
        for packet_id in range(1, maximum + 1):
            self.assertEqual(publisher.expect(m.PUBCOMP).packet_id, packet_id)
        publisher.ping()

    @mosquitto_cannot("stalls: the large message keeps its place in the window")
    def test_a_message_too_large_for_a_client_is_dropped_and_stalls_nothing(self):
        # [MQTT-3.1.2-24], [MQTT-3.1.2-25]
        for qos in (0, 1, 2):
            with self.subTest(qos=qos):
                properties = block(prop.maximum_packet_size(200), prop.receive_maximum(1))
                subscriber = self.subscriber(qos, properties)
                publisher = self.publisher()
                self.publish(publisher, 1, qos, payload="x" * 500)
                self.publish(publisher, 1, qos, payload="small")
                self.assertEqual(subscriber.expect(m.PUBLISH).payload(5), b"small")

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        stuck = self.subscriber(1)
        quick = self.connection()
        quick.hello(client_id=self.name + "-quick")
        quick.send(m.subscribe(1, (self.topic("#"), 1)))
        quick.expect(m.SUBACK)
        publisher = self.publisher()
        for index in range(300):
            publisher.send(m.publish(self.topic("m"), b"x" * 60_000, qos=1, packet_id=index + 1))
            publisher.expect(m.PUBACK)
            packet = quick.expect(m.PUBLISH)
            quick.send(m.ack(m.PUBACK, packet.packet_id))
        self.assertEqual(stuck.expect(m.PUBLISH).topic, self.topic("m"))

    def test_topic_aliases_stay_within_what_the_client_takes(self):
        for maximum in (0, 1, 3):
            with self.subTest(maximum=maximum):
                subscriber = self.subscriber(0, block(prop.topic_alias_maximum(maximum)))
                publisher = self.publisher()
                topics = [self.topic(f"t{index % 5}") for index in range(40)]
                for topic in topics:
                    publisher.send(m.publish(topic, topic.encode()))
                aliases, got = {}, []
                for _ in topics:
                    packet = subscriber.expect(m.PUBLISH)
                    alias = packet.properties().get(0x23, [None])[0]
                    if alias is not None:
                        self.assertIn(alias, range(1, maximum + 1))
                        if packet.topic:
                            aliases[alias] = packet.topic
                    name = packet.topic or aliases[alias]
                    self.assertEqual(packet.payload(5), name.encode())
                    got.append(name)
                self.assertEqual(sorted(got), sorted(topics))


class Resuming(SessionCase):
    KEEP = block(prop.session_expiry(600))

    def test_an_unacknowledged_qos_1_comes_again(self):
        subscriber = self.subscriber(1, self.KEEP)
        self.publish(self.publisher(), 3, 1)
        before = [subscriber.expect(m.PUBLISH) for _ in range(3)]
        self.assertEqual([packet.dup for packet in before], [False] * 3)
        subscriber.send(m.ack(m.PUBACK, before[0].packet_id))
        subscriber.ping()
        subscriber.reset()
        back = self.resume()
        again = [back.expect(m.PUBLISH) for _ in range(2)]
        for old, new in zip(before[1:], again):
            self.assertEqual(new.packet_id, old.packet_id)  # [MQTT-4.4.0-1]
            self.assertEqual(new.payload(5), old.payload(5))
            self.assertTrue(new.dup)  # [MQTT-3.3.1-1]
        back.ping()

    def test_an_unacknowledged_qos_2_comes_again_at_the_stage_it_had_reached(self):
        subscriber = self.subscriber(2, self.KEEP)
        self.publish(self.publisher(), 2, 2)
        first, second = subscriber.expect(m.PUBLISH), subscriber.expect(m.PUBLISH)
        subscriber.send(m.ack(m.PUBREC, first.packet_id))
        subscriber.expect(m.PUBREL)
        subscriber.reset()
        back = self.resume()
        packets = [back.receive(), back.receive()]
        by_type = {packet.type: packet for packet in packets}
        self.assertEqual(by_type[m.PUBREL].packet_id, first.packet_id)
        self.assertEqual(by_type[m.PUBLISH].packet_id, second.packet_id)
        self.assertTrue(by_type[m.PUBLISH].dup)
        back.send(m.ack(m.PUBCOMP, first.packet_id), m.ack(m.PUBREC, second.packet_id))
        back.expect(m.PUBREL)
        back.send(m.ack(m.PUBCOMP, second.packet_id))
        back.ping()

    def test_a_repeated_qos_2_publish_is_passed_on_once(self):
        subscriber = self.subscriber(2)
        publisher = self.connection()
        properties = block(prop.session_expiry(600))
        publisher.hello(client_id=self.name + "-publisher", properties=properties)
        one = m.publish(self.topic("m"), b"once", qos=2, packet_id=9)
        publisher.send(one)
        publisher.expect(m.PUBREC)
        publisher.reset()
        again = self.connection()
        connack = again.hello(
            client_id=self.name + "-publisher", clean=False, properties=properties
        )
        self.assertTrue(connack.session_present)
        again.send(m.publish(self.topic("m"), b"once", qos=2, packet_id=9, dup=True))
        again.expect(m.PUBREC)
        again.send(m.ack(m.PUBREL, 9))
        again.expect(m.PUBCOMP)
        again.send(m.publish(self.topic("m"), b"fence", qos=2, packet_id=9))
        again.expect(m.PUBREC)
        again.send(m.ack(m.PUBREL, 9))
        again.expect(m.PUBCOMP)
        self.assertEqual(subscriber.expect(m.PUBLISH).payload(5), b"once")
        self.assertEqual(subscriber.expect(m.PUBLISH).payload(5), b"fence")
        subscriber.ping()

    def test_subscriptions_survive_and_order_is_kept(self):
        subscriber = self.subscriber(1, self.KEEP)
        publisher = self.publisher()
        self.publish(publisher, 1, 1, payload="before")
        subscriber.expect(m.PUBLISH)  # not acknowledged
        subscriber.reset()
        self.publish(publisher, 5, 1, payload="away {}")
        back = self.resume()
        self.publish(publisher, 1, 1, payload="after")
        payloads = []
        for _ in range(7):
            packet = back.expect(m.PUBLISH)
            payloads.append(packet.payload(5).decode())
            back.send(m.ack(m.PUBACK, packet.packet_id))
        wanted = ["before", *(f"away {index}" for index in range(5)), "after"]
        self.assertEqual(payloads, wanted)

    def test_a_session_of_311_is_resumed_by_version_5(self):
        old = self.connection(4)
        old.hello(client_id=self.name, clean=False)
        old.send(m.subscribe(1, (self.topic("#"), 1), version=4))
        old.expect(m.SUBACK)
        old.close()
        self.publish(self.publisher(), 1, 1, payload="kept")
        self.assertEqual(self.resume().expect(m.PUBLISH).payload(5), b"kept")

    def test_the_session_ends_with_the_connection_unless_asked_otherwise(self):
        subscriber = self.subscriber(1)
        subscriber.close()
        again = self.connection()
        self.assertFalse(again.hello(client_id=self.name, clean=False).session_present)

    def test_disconnect_may_change_the_expiry(self):
        subscriber = self.subscriber(1, self.KEEP)
        subscriber.send(m.disconnect(0, block(prop.session_expiry(0))))
        subscriber.receive_until_closed()
        again = self.connection()
        self.assertFalse(again.hello(client_id=self.name, clean=False).session_present)

    @mosquitto_cannot("closes without a reason")
    def test_a_session_moves_to_the_newest_connection(self):
        first = self.subscriber(1, self.KEEP)
        self.publish(self.publisher(), 1, 1, payload="unacknowledged")
        first.expect(m.PUBLISH)
        second = self.resume()
        taken = first.receive_until_closed()
        self.assertEqual([packet.disconnect_reason for packet in taken], [0x8E])
        self.assertEqual(second.expect(m.PUBLISH).payload(5), b"unacknowledged")

    def test_a_storm_of_take_overs_leaves_one(self):
        connections = [self.connection() for _ in range(40)]
        for connection in connections:
            connection.send(m.connect(client_id=self.name, properties=self.KEEP))
        got = {connection: [] for connection in connections}

        def closed():
            for connection in connections:
                got[connection] += connection.poll()
            return [connection for connection in connections if connection.is_closed]

        eventually(lambda: len(closed()) == 39, lambda: f"39 of 40 end, not {len(closed())}")
        (survivor,) = (connection for connection in connections if not connection.is_closed)
        survivor.ping()
        if harness.BROKER == "mitud":
            for connection in closed():
                self.assertEqual(got[connection][-1].disconnect_reason, 0x8E)


class Wills(SessionCase):
    def watch(self):
        watcher = self.connection()
        watcher.hello(client_id=self.name + "-watcher")
        watcher.send(m.subscribe(1, (self.topic("will"), 1)))
        watcher.expect(m.SUBACK)
        return watcher

    def doomed(self, will_properties=block(), connect_properties=block(), client_id=None):
        connection = self.connection()
        connection.hello(
            client_id=client_id or self.name,
            properties=connect_properties,
            will=(self.topic("will"), b"lost", 1, False, will_properties),
        )
        return connection

    def fence(self, watcher):
        """Nothing came before this."""
        publisher = self.publisher()
        self.publish(publisher, 1, 1, level="will", payload="fence")
        packet = watcher.expect(m.PUBLISH)
        self.assertEqual(packet.payload(5), b"fence")

    def test_a_protocol_error_publishes_the_will(self):
        watcher, doomed = self.watch(), self.doomed()
        doomed.send(m.packet(0, 0))
        self.assertEqual(watcher.expect(m.PUBLISH).payload(5), b"lost")

    def test_a_reset_publishes_the_will(self):
        watcher, doomed = self.watch(), self.doomed()
        doomed.reset()
        self.assertEqual(watcher.expect(m.PUBLISH).payload(5), b"lost")

    def test_disconnect_discards_the_will(self):
        watcher, doomed = self.watch(), self.doomed()
        doomed.send(m.disconnect())
        doomed.receive_until_closed()
        self.fence(watcher)

    def test_disconnect_with_will_publishes_it(self):
        watcher, doomed = self.watch(), self.doomed()
        doomed.send(m.disconnect(0x04))
        self.assertEqual(watcher.expect(m.PUBLISH).payload(5), b"lost")

    def test_a_delayed_will_is_forgotten_when_the_client_comes_back(self):
        watcher = self.watch()
        keep = block(prop.session_expiry(600))
        self.doomed(block(prop.will_delay(2)), keep).reset()
        back = self.connection()
        back.hello(client_id=self.name, clean=False, properties=keep)  # [MQTT-3.1.3-9]
        # The will of somebody else, with the same delay and started later, comes; ours does not.
        other = self.doomed(block(prop.will_delay(2)), keep, client_id=self.name + "-other")
        other.reset()
        self.assertEqual(watcher.expect(m.PUBLISH).payload(5), b"lost")
        self.fence(watcher)

    @mosquitto_cannot("forgets the will")
    def test_a_clean_start_ends_the_session_and_publishes_its_will_at_once(self):
        watcher = self.watch()
        self.doomed(block(prop.will_delay(600)), block(prop.session_expiry(600))).reset()
        again = self.connection()
        again.hello(client_id=self.name, clean=True)
        self.assertEqual(watcher.expect(m.PUBLISH).payload(5), b"lost")

    def test_a_will_does_not_wait_longer_than_the_session(self):
        watcher = self.watch()
        self.doomed(block(prop.will_delay(600)), block(prop.session_expiry(1))).reset()
        self.assertEqual(watcher.expect(m.PUBLISH).payload(5), b"lost")

    def test_will_properties_are_passed_on(self):
        watcher = self.watch()
        properties = block(
            prop.content_type("text/plain"),
            prop.user("why", "lost"),
            prop.response_topic("answers"),
            prop.correlation_data("id"),
            prop.message_expiry(60),
            prop.payload_format(1),
        )
        self.doomed(properties).reset()
        found = watcher.expect(m.PUBLISH).properties()
        self.assertEqual(found[0x03], [b"text/plain"])
        self.assertEqual(found[0x26], [("why", "lost")])
        self.assertEqual(found[0x08], [b"answers"])
        self.assertEqual(found[0x09], [b"id"])
        self.assertEqual(found[0x01], [1])
        self.assertIn(found[0x02][0], range(50, 61))


class Shared(SessionCase):
    def member(self, index, connect_properties=block()):
        connection = self.connection()
        connection.hello(client_id=f"{self.name}-{index}", properties=connect_properties)
        connection.send(m.subscribe(1, (f"$share/crew/{self.topic('work')}", 1)))
        connection.expect(m.SUBACK)
        return connection

    @mosquitto_cannot("loses them")
    def test_a_member_that_leaves_has_its_unacknowledged_messages_given_to_another(self):
        leaver, stayer = self.member(1), self.member(2)
        self.publish(self.publisher(), 20, 1, level="work")
        leaver.expect(m.PUBLISH)  # it had some, and acknowledges none
        leaver.reset()
        payloads = set()
        while len(payloads) < 20:
            packet = stayer.expect(m.PUBLISH)
            payloads.add(int(packet.payload(5)))
            stayer.send(m.ack(m.PUBACK, packet.packet_id))
        self.assertEqual(payloads, set(range(20)))

    @mosquitto_cannot("sends them")
    def test_retained_messages_are_not_sent_to_a_share(self):
        self.publish(self.publisher(), 1, 0, level="other")
        publisher = self.connection()
        publisher.hello(client_id=self.name + "-retain")
        publisher.send(m.publish(self.topic("work"), b"old", qos=1, packet_id=1, retain=True))
        publisher.expect(m.PUBACK)
        member = self.member(1)
        publisher.send(m.publish(self.topic("work"), b"new", qos=1, packet_id=2))
        self.assertEqual(member.expect(m.PUBLISH).payload(5), b"new")

    def test_two_groups_each_get_everything(self):
        first = self.member(1)
        other = self.connection()
        other.hello(client_id=f"{self.name}-other")
        other.send(m.subscribe(1, (f"$share/second/{self.topic('work')}", 1)))
        other.expect(m.SUBACK)
        self.publish(self.publisher(), 5, 1, level="work")
        for connection in (first, other):
            got = []
            for _ in range(5):
                packet = connection.expect(m.PUBLISH)
                got.append(int(packet.payload(5)))
                connection.send(m.ack(m.PUBACK, packet.packet_id))
            self.assertEqual(got, list(range(5)))


class Shutdown(unittest.TestCase):
    @mosquitto_cannot("closes without a reason")
    def test_sigterm_tells_version_5_clients_why(self):
        broker = harness.Broker()
        self.addCleanup(broker.remove)
        connections = []
        for version in (4, 5):
            for index in range(4):
                connection = m.Connection(broker, version)
                self.addCleanup(connection.close)
                connection.hello(client_id=f"{version}-{index}")
                connections.append(connection)
        self.assertEqual(broker.stop(), 0)
        for connection in connections:
            reasons = [packet.disconnect_reason for packet in connection.receive_until_closed()]
            self.assertEqual(reasons, [0x8B] if connection.version == 5 else [])


if __name__ == "__main__":
    unittest.main()
