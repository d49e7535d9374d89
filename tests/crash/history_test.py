"""The checker on histories made by hand: what the promises allow it lets pass, what they forbid it
finds. One unit of time passes with each event."""

import itertools
import unittest

import history as histories


class Case(unittest.TestCase):
    def setUp(self):
        ticks = itertools.count(1)
        self.history = histories.History(clock=lambda: float(next(ticks)))

    def add(self, kind, client, **what):
        return self.history.add(kind, client, **what)

    def connect(self, client, present=False, clean=False):
        self.add("connecting", client, flag=clean)
        self.add("connected", client, flag=present)

    def lose(self, client):
        self.add("disconnected", client, flag=False)

    def subscribe(self, client, topic_filter="a/#", qos=2):
        self.add("subscribing", client, topic=topic_filter, qos=qos)
        self.add("subscribed", client, topic=topic_filter, qos=qos)

    def send(self, message, topic="a/b", qos=2, dup=False, data=None):
        self.add("publishing", message.split(":")[0], message=message, topic=topic, qos=qos, flag=dup, data=data)

    def acknowledge(self, message, success=True):
        self.add("published", message.split(":")[0], message=message, flag=success)

    def publish(self, message, **what):
        self.send(message, **what)
        self.acknowledge(message)

    def receive(self, client, message, topic="a/b", qos=2, is_new=True, packet_id=1):
        self.add("received", client, message=message, topic=topic, qos=qos, flag=is_new, packet_id=packet_id)

    def begin(self):
        for client in ("s", "p"):
            self.connect(client)
        self.subscribe("s")

    def expect(self, *kinds, may_lose=False):
        checker = histories.check(self.history, may_lose)
        self.assertEqual(sorted(v.kind for v in checker.violations), sorted(kinds), checker.violations)


class Loss(Case):
    def test_an_acknowledged_message_that_came_is_fine(self):
        self.begin()
        self.publish("p:1")
        self.receive("s", "p:1")
        self.expect()

    def test_an_acknowledged_message_that_never_came_is_lost(self):
        self.begin()
        self.publish("p:1")
        self.expect("lost")

    def test_it_is_lost_over_a_kill_too(self):
        self.begin()
        self.publish("p:1")
        self.add("killed", "server")
        self.lose("s")
        self.add("started", "server")
        self.connect("s", present=True)
        self.expect("lost")

    def test_qos_1_counts_as_much(self):
        self.begin()
        self.publish("p:1", qos=1)
        self.expect("lost")

    def test_it_may_be_missing_where_the_disk_was_damaged(self):
        self.begin()
        self.publish("p:1")
        self.expect(may_lose=True)

    def test_a_message_without_an_answer_may_come_or_not(self):
        self.begin()
        self.send("p:1")
        self.send("p:2")
        self.receive("s", "p:2")
        self.expect()

    def test_a_refused_message_is_not_owed(self):
        self.begin()
        self.send("p:1")
        self.acknowledge("p:1", success=False)
        self.expect()

    def test_who_subscribes_while_it_is_sent_may_miss_it(self):
        self.connect("s")
        self.connect("p")
        self.add("subscribing", "s", topic="a/#", qos=2)
        self.send("p:1")
        self.add("subscribed", "s", topic="a/#", qos=2)
        self.acknowledge("p:1")
        self.expect()

    def test_who_leaves_before_the_answer_may_miss_it(self):
        self.begin()
        self.send("p:1")
        self.add("unsubscribing", "s", topic="a/#")
        self.acknowledge("p:1")
        self.expect()

    def test_who_has_left_later_is_still_owed_it(self):
        self.begin()
        self.publish("p:1")
        self.add("unsubscribing", "s", topic="a/#")
        self.add("unsubscribed", "s", topic="a/#")
        self.expect("lost")

    def test_a_clean_start_gives_up_what_was_owed(self):
        self.begin()
        self.publish("p:1")
        self.lose("s")
        self.connect("s", clean=True)
        self.expect()

    def test_other_topics_are_not_owed(self):
        self.begin()
        self.publish("p:1", topic="b/c")
        self.expect()

    def test_qos_0_is_not_owed(self):
        self.connect("s")
        self.connect("p")
        self.subscribe("s", qos=0)
        self.publish("p:1", qos=1)
        self.expect()


class Once(Case):
    def test_two_new_deliveries_of_qos_2_are_a_duplicate(self):
        self.begin()
        self.publish("p:1")
        self.receive("s", "p:1", packet_id=1)
        self.receive("s", "p:1", packet_id=2)
        self.expect("duplicate")

    def test_a_repeat_under_its_own_number_is_not(self):
        self.begin()
        self.publish("p:1")
        self.receive("s", "p:1")
        self.receive("s", "p:1", is_new=False)
        self.expect()

    def test_two_sessions_get_it_once_each(self):
        self.begin()
        self.connect("t")
        self.subscribe("t")
        self.publish("p:1")
        self.receive("s", "p:1")
        self.receive("t", "p:1")
        self.expect()

    def test_another_message_under_a_number_in_use_is_found(self):
        self.begin()
        self.publish("p:1")
        self.publish("p:2")
        self.receive("s", "p:1", packet_id=5)
        self.receive("s", "p:2", packet_id=5, is_new=False)
        self.receive("s", "p:2", packet_id=6)
        self.expect("packet id")

    def test_a_number_that_was_lost_with_the_tail_is_given_again_and_order_still_holds(self):
        self.begin()
        for serial in (1, 2, 3):
            self.send(f"p:{serial}")
        self.receive("s", "p:1", packet_id=7)
        self.add("killed", "server")  # and 7 is forgotten there, but not at s
        self.receive("s", "p:2", packet_id=7, is_new=False)
        self.receive("s", "p:3", packet_id=8)
        self.receive("s", "p:2", packet_id=7)
        self.expect(may_lose=True)

    def test_unless_the_damage_took_the_number(self):
        self.begin()
        self.publish("p:1")
        self.receive("s", "p:1", packet_id=5)
        self.publish("p:2")
        self.receive("s", "p:2", packet_id=5, is_new=False)
        self.expect(may_lose=True)

    def test_qos_1_may_come_again_after_a_connection_was_lost(self):
        self.begin()
        self.publish("p:1", qos=1)
        self.receive("s", "p:1", qos=1)
        self.lose("s")
        self.connect("s", present=True)
        self.receive("s", "p:1", qos=1)
        self.expect()


class Order(Case):
    def test_a_message_that_comes_first_after_a_later_one_is_out_of_order(self):
        self.begin()
        for message in ("p:1", "p:2"):
            self.publish(message)
        self.receive("s", "p:2", packet_id=1)
        self.receive("s", "p:1", packet_id=2)
        self.expect("order")

    def test_topics_have_an_order_each(self):
        self.begin()
        self.publish("p:1", topic="a/b")
        self.publish("p:2", topic="a/c")
        self.receive("s", "p:2", topic="a/c", packet_id=1)
        self.receive("s", "p:1", topic="a/b", packet_id=2)
        self.expect()

    def test_qos_1_may_begin_again_at_an_earlier_one(self):
        self.begin()
        for message in ("p:1", "p:2", "p:3"):
            self.publish(message, qos=1)
        for message in ("p:1", "p:2"):
            self.receive("s", message, qos=1)
        self.lose("s")
        self.connect("s", present=True)
        for message in ("p:1", "p:2", "p:3"):
            self.receive("s", message, qos=1)
        self.expect()

    def test_but_not_without_a_cause(self):
        self.begin()
        for message in ("p:1", "p:2"):
            self.publish(message, qos=1)
        for message in ("p:1", "p:2", "p:1"):
            self.receive("s", message, qos=1)
        self.expect("order", "repeat")

    def test_a_publisher_that_begins_again_is_a_cause(self):
        self.begin()
        for message in ("p:1", "p:2"):
            self.send(message, qos=1)
        self.lose("p")
        self.connect("p", present=True)
        for message in ("p:1", "p:2"):
            self.send(message, qos=1, dup=True)
            self.acknowledge(message)
        for message in ("p:1", "p:2", "p:1", "p:2"):
            self.receive("s", message, qos=1)
        self.expect()

    def test_a_qos_2_message_that_is_granted_qos_1_has_one_copy(self):
        self.begin()
        self.send("p:1")
        self.lose("p")
        self.connect("p", present=True)
        self.publish("p:1", dup=True)
        for _ in range(2):
            self.receive("s", "p:1", qos=1)
        self.expect("repeat")


class Sessions(Case):
    def test_a_session_that_was_acknowledged_is_there(self):
        self.connect("s")
        self.lose("s")
        self.connect("s", present=True)
        self.expect()

    def test_one_that_is_gone_is_found(self):
        self.connect("s")
        self.lose("s")
        self.connect("s", present=False)
        self.expect("session")

    def test_it_may_be_gone_where_the_disk_was_damaged(self):
        self.connect("s")
        self.lose("s")
        self.connect("s", present=False)
        self.expect(may_lose=True)

    def test_a_clean_start_that_finds_one_is_found(self):
        self.connect("s")
        self.connect("s", present=True, clean=True)
        self.expect("session")

    def test_a_clean_start_without_an_answer_leaves_both_open(self):
        for present in (True, False):
            with self.subTest(present=present):
                self.setUp()
                self.connect("s")
                self.add("connecting", "s", flag=True)
                self.connect("s", present=present)
                self.expect()

    def test_a_connect_without_an_answer_may_have_made_the_session(self):
        for present in (False, True):
            with self.subTest(present=present):
                self.setUp()
                self.add("connecting", "s", flag=False)
                self.add("killed", "server")
                self.connect("s", present=present)
                self.expect()

    def test_a_session_that_nobody_had_is_found(self):
        self.connect("s", present=True)
        self.expect("session")

    def test_a_message_after_unsuback_is_unasked(self):
        self.begin()
        self.add("unsubscribing", "s", topic="a/#")
        self.add("unsubscribed", "s", topic="a/#")
        self.publish("p:1")
        self.receive("s", "p:1")
        self.expect("unasked")

    def test_one_that_was_sent_before_is_not(self):
        self.begin()
        self.publish("p:1")
        self.add("unsubscribing", "s", topic="a/#")
        self.add("unsubscribed", "s", topic="a/#")
        self.receive("s", "p:1")
        self.expect()

    def test_a_message_that_nobody_sent_is_invented(self):
        self.begin()
        self.receive("s", "p:9")
        self.expect("invented")

    def test_a_message_under_another_topic_is_invented(self):
        self.begin()
        self.publish("p:1", topic="b/c")
        self.receive("s", "p:1", topic="a/b")
        self.expect("invented")


class Retained(Case):
    def read(self, given, since=None):
        since = self.add("retained_read", "reader") if since is None else since
        self.add("retained", "reader", data=(given, since))

    def test_the_last_acknowledged_wins(self):
        self.publish("p:1", topic="r", data="retain")
        self.publish("p:2", topic="r", data="retain")
        self.read({"r": "p:2"})
        self.expect()

    def test_an_older_one_is_found(self):
        self.publish("p:1", topic="r", data="retain")
        self.publish("p:2", topic="r", data="retain")
        self.read({"r": "p:1"})
        self.expect("retained")

    def test_none_is_found(self):
        self.publish("p:1", topic="r", data="retain")
        self.read({})
        self.expect("retained")

    def test_a_later_one_without_an_answer_may_be_there(self):
        for given in ("p:1", "p:2"):
            with self.subTest(given=given):
                self.setUp()
                self.publish("p:1", topic="r", data="retain")
                self.send("p:2", topic="r", data="retain")
                self.read({"r": given})
                self.expect()

    def test_a_deleted_one_does_not_come_back(self):
        self.publish("p:1", topic="r", data="retain")
        self.publish("p:2", topic="r", data="delete")
        self.read({"r": "p:1"})
        self.expect("retained")

    def test_a_deleted_one_is_not_there(self):
        self.publish("p:1", topic="r", data="retain")
        self.publish("p:2", topic="r", data="delete")
        self.read({})
        self.expect()

    def test_what_is_acknowledged_while_it_is_read_may_be_missing(self):
        since = self.add("retained_read", "reader")
        self.publish("p:1", topic="r", data="retain")
        self.read({}, since)
        self.expect()

    def test_a_topic_that_nobody_wrote_is_found(self):
        self.read({"x": "p:1"})
        self.expect("retained")


class Wills(Case):
    def begin(self):
        super().begin()
        self.add("will", "m", message="m:0", topic="a/will", qos=2)
        self.connect("m")

    def test_a_lost_connection_owes_its_will(self):
        self.begin()
        self.lose("m")
        self.expect("lost")

    def test_the_will_that_came_is_fine(self):
        self.begin()
        self.lose("m")
        self.receive("s", "m:0", topic="a/will")
        self.expect()

    def test_a_will_comes_once(self):
        self.begin()
        self.lose("m")
        self.receive("s", "m:0", topic="a/will", packet_id=1)
        self.receive("s", "m:0", topic="a/will", packet_id=2)
        self.expect("duplicate")

    def test_disconnect_discards_it(self):
        self.begin()
        self.add("disconnecting", "m")
        self.add("disconnected", "m", flag=True)
        self.expect()

    def test_a_discarded_will_that_comes_is_found(self):
        self.begin()
        self.add("disconnecting", "m")
        self.add("disconnected", "m", flag=True)
        self.receive("s", "m:0", topic="a/will")
        self.expect("will")

    def test_unless_the_server_was_killed_just_then(self):
        self.begin()
        self.add("disconnecting", "m")
        self.add("killed", "server")
        self.add("disconnected", "m", flag=True)
        self.receive("s", "m:0", topic="a/will")
        self.expect()

    def test_a_connection_that_was_never_accepted_has_none(self):
        super().begin()
        self.add("will", "m", message="m:0", topic="a/will", qos=2)
        self.add("connecting", "m")
        self.expect()


class Filters(unittest.TestCase):
    def test_filters_match_as_in_section_4_7(self):
        for topic_filter, topic, expected in (
            ("a/b", "a/b", True),
            ("a/b", "a/c", False),
            ("a/b", "a/b/c", False),
            ("a/+", "a/b", True),
            ("a/+", "a/b/c", False),
            ("a/+/c", "a/b/c", True),
            ("a/#", "a/b/c", True),
            ("a/#", "a", True),
            ("#", "a/b", True),
            ("a/b/c", "a/b", False),
        ):
            with self.subTest(topic_filter=topic_filter, topic=topic):
                self.assertEqual(histories.matches(topic_filter, topic), expected)


if __name__ == "__main__":
    unittest.main()
