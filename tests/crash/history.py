"""What clients did and saw, and whether a server that keeps its word can have answered so.

A history is a list of events in the order of one clock. Clients write it; nothing of the server is
looked at. `check()` holds it against the promises of MQTT and of durability `sync`. It assumes no
more than that a request takes effect somewhere between its invocation and its response.
"""

import collections
import dataclasses
import time
import typing


class Event(typing.NamedTuple):
    at: float
    kind: str
    client: str
    message: str = ""  # PUBLISHER:SERIAL; serials of a publisher grow
    topic: str = ""  # or the filter
    qos: int = 0
    flag: bool = False  # what it means depends on the kind
    packet_id: int = 0
    data: object = None


class History:
    """Threading  one thread's.

    connecting     flag: clean start
    connected      flag: session present; the CONNACK was a success
    disconnecting  DISCONNECT is sent
    disconnected   flag: the server closed after DISCONNECT; else the connection is lost
    subscribing, subscribed, unsubscribing, unsubscribed   topic: the filter; qos as asked, as granted
    publishing     a message is sent; flag: with DUP; data: "retain" or "delete"
    published      it is acknowledged (PUBACK, PUBREC); flag: success
    received       a PUBLISH came; flag: nothing of that number was begun (always so for QoS 1)
    will           what the server is to say when the connection that begins now is lost
    retained       data: ({topic: message}, since): what a subscriber was given that asked at `since`
    killed, started, stopped, continued   the server
    """

    def __init__(self, clock=time.monotonic):
        self.events = []
        self._clock = clock

    def add(self, kind, client, **what):
        at = self._clock()
        self.events.append(Event(at, kind, client, **what))
        return at


@dataclasses.dataclass
class Message:
    name: str
    publisher: str
    serial: int
    topic: str
    qos: int
    begun_at: float
    acknowledged_at: float | None = None
    is_refused: bool = False
    retain: str = ""  # "retain", "delete", or not at all
    sent: int = 0


@dataclasses.dataclass
class Interest:
    """A subscription from SUBSCRIBE to UNSUBACK; None: that has not come."""

    topic_filter: str
    asked_at: float
    granted_at: float | None = None
    qos: int = 0
    leaving_at: float | None = None
    left_at: float | None = None

    def surely_covers(self, message):
        return (
            self.granted_at is not None
            and self.granted_at <= message.begun_at
            and (self.leaving_at is None or message.acknowledged_at < self.leaving_at)
        )

    def perhaps_covers(self, begun_at, received_at):
        return self.asked_at <= received_at and (self.left_at is None or self.left_at >= begun_at)


@dataclasses.dataclass
class Delivery:
    at: float
    message: str
    topic: str
    qos: int
    is_new: bool
    packet_id: int


@dataclasses.dataclass
class Session:
    client: str
    interests: list = dataclasses.field(default_factory=list)
    deliveries: list = dataclasses.field(default_factory=list)
    arrivals_at: list = dataclasses.field(default_factory=list)  # connections that were accepted
    forgotten_at: list = dataclasses.field(default_factory=list)  # clean starts, as they were asked
    is_known: bool | None = False  # None: it may be there or not
    asks_clean: bool = False
    is_unanswered: bool = False  # CONNECT, so far

    def interest(self, topic_filter):
        for found in reversed(self.interests):
            if found.topic_filter == topic_filter and found.left_at is None:
                return found
        return None

    def is_forgotten_after(self, at):
        return bool(self.forgotten_at) and self.forgotten_at[-1] >= at


class Violation(typing.NamedTuple):
    kind: str
    text: str


KINDS = {
    "lost": "acknowledged messages that never came",
    "duplicate": "QoS 2 messages that came twice",
    "repeat": "QoS 1 messages repeated within a connection",
    "order": "messages out of order",
    "unasked": "messages that nobody had asked for",
    "invented": "messages that nobody had sent",
    "packet id": "numbers used for another message before their end",
    "session": "sessions that were not as acknowledged",
    "retained": "retained messages that were not as acknowledged",
    "will": "wills that came too often, or though they were discarded",
}


def matches(topic_filter, topic):
    wanted, given = topic_filter.split("/"), topic.split("/")
    for level, part in enumerate(wanted):
        if part == "#":
            return True
        if level >= len(given) or part not in ("+", given[level]):
            return False
    return len(wanted) == len(given)


class Checker:
    """Reads a history once, from its beginning; then answers."""

    def __init__(self, history):
        self.messages, self.sessions, self.wills = {}, {}, {}
        self.violations, self.counts = [], collections.Counter()
        self._reads, self._server_died_at = [], []
        for event in history.events:
            handler = getattr(self, "_on_" + event.kind)
            handler(event)
            self.counts[event.kind] += 1

    def _blame(self, kind, text):
        assert kind in KINDS
        self.violations.append(Violation(kind, text))

    def _session(self, event):
        found = self.sessions.get(event.client)
        if found is None:
            found = self.sessions[event.client] = Session(event.client)
        return found

    # ---- sessions ----

    def _on_connecting(self, event):
        session = self._session(event)
        session.asks_clean = event.flag
        if session.is_unanswered and session.is_known is False:
            session.is_known = None  # the CONNECT before this one may have made it
        session.is_unanswered = True
        if event.flag:
            session.forgotten_at.append(event.at)
            session.is_known = None
            for interest in session.interests:
                if interest.leaving_at is None:
                    interest.leaving_at = event.at

    def _on_connected(self, event):
        session = self._session(event)
        session.arrivals_at.append(event.at)
        session.is_unanswered = False
        if session.asks_clean:
            if event.flag:
                self._blame("session", f"{event.client} asked for a clean start and found a session")
            for interest in session.interests:
                if interest.left_at is None:
                    interest.left_at = event.at
        elif event.flag and session.is_known is False:
            self._blame("session", f"{event.client} found a session that it never had")
        elif not event.flag and session.is_known:
            self._blame("session", f"{event.client} had a session, and it is not there at {event.at:.3f}")
        session.is_known = True

    def _on_disconnecting(self, event):
        will = self.wills.get(event.client)
        if will is not None:
            will["disconnecting_at"] = event.at

    def _on_disconnected(self, event):
        will = self.wills.get(event.client)
        if will is not None:
            will["discarded_at" if event.flag else "cut_at"] = event.at

    def _on_subscribing(self, event):
        session = self._session(event)
        if session.interest(event.topic) is None:
            session.interests.append(Interest(event.topic, event.at))

    def _on_subscribed(self, event):
        interest = self._session(event).interest(event.topic)
        if interest.granted_at is None:
            interest.granted_at, interest.qos = event.at, event.qos

    def _on_unsubscribing(self, event):
        interest = self._session(event).interest(event.topic)
        if interest is not None and interest.leaving_at is None:
            interest.leaving_at = event.at

    def _on_unsubscribed(self, event):
        interest = self._session(event).interest(event.topic)
        if interest is not None:
            interest.left_at = event.at

    # ---- messages ----

    def _on_publishing(self, event):
        message = self.messages.get(event.message)
        if message is None:
            publisher, serial = event.message.rsplit(":", 1)
            message = self.messages[event.message] = Message(
                *(event.message, publisher, int(serial), event.topic, event.qos, event.at),
                retain=event.data or "",
            )
        message.sent += 1

    def _on_published(self, event):
        message = self.messages[event.message]
        if not event.flag:
            message.is_refused = True
        elif message.acknowledged_at is None:
            message.acknowledged_at = event.at

    def _on_received(self, event):
        self._session(event).deliveries.append(
            Delivery(event.at, event.message, event.topic, event.qos, event.flag, event.packet_id)
        )

    def _on_will(self, event):
        publisher, serial = event.message.rsplit(":", 1)
        self.messages[event.message] = Message(
            event.message, publisher, int(serial), event.topic, event.qos, event.at
        )
        self.wills[event.client] = {"message": event.message}

    def _on_retained(self, event):
        self._reads.append(event)

    # ---- the server ----

    def _on_killed(self, event):
        self._server_died_at.append(event.at)

    def _on_started(self, event):
        pass

    _on_stopped = _on_continued = _on_retained_read = _on_started

    # ---- answers ----

    def _settle_wills(self):
        """A will of a connection that was accepted is owed once that is lost without DISCONNECT."""
        for client, will in self.wills.items():
            arrivals = self.sessions[client].arrivals_at
            if arrivals and "disconnecting_at" not in will and "cut_at" in will:
                self.messages[will["message"]].acknowledged_at = will["cut_at"]

    def owed(self):
        """[(session, message)]: acknowledged, surely subscribed to, and not received."""
        self._settle_wills()
        by_topic = collections.defaultdict(list)
        for message in self.messages.values():
            if message.acknowledged_at is not None and message.qos > 0 and message.retain != "delete":
                by_topic[message.topic].append(message)
        owed = []
        for session in self.sessions.values():
            had = {delivery.message for delivery in session.deliveries}
            for interest in session.interests:
                if interest.granted_at is None or interest.qos == 0:
                    continue
                for topic, messages in by_topic.items():
                    if matches(interest.topic_filter, topic):
                        owed.extend(
                            (session, message)
                            for message in messages
                            if message.name not in had
                            and interest.surely_covers(message)
                            and not session.is_forgotten_after(message.begun_at)
                        )
        return owed

    def check(self, may_lose=False):
        """All violations, after everything has drained. `may_lose`: durability was not `sync`, or the
        disk was damaged: what is left must hold together, and may be less."""
        if not may_lose:
            for session, message in self.owed():
                self._blame(
                    "lost",
                    f"{message.name} to {message.topic} (QoS {message.qos}), acknowledged at "
                    f"{message.acknowledged_at:.3f}, never came to {session.client}",
                )
            self._check_retained()
        for session in self.sessions.values():
            self._check_deliveries(session, may_lose)
        self._check_wills()
        if may_lose:
            # A number that is lost with the tail is given again, and its client still has it begun.
            self.violations = [v for v in self.violations if v.kind not in ("session", "packet id")]
        return self.violations

    def _check_deliveries(self, session, may_lose):
        new_qos2 = collections.Counter()
        begun = {}  # number -> message that it was last new for
        newest, seen = {}, collections.defaultdict(set)
        last, descents, copies = {}, collections.Counter(), collections.Counter()  # of a connection
        connections = iter([*session.arrivals_at[1:], float("inf")])
        connection_ends_at = next(connections)
        for delivery in session.deliveries:
            while delivery.at > connection_ends_at:
                connection_ends_at = next(connections)
                last, descents = {}, collections.Counter()
                copies.clear()
            self.counts["deliveries"] += 1
            message = self.messages.get(delivery.message)
            if message is None or message.topic != delivery.topic:
                self._blame("invented", f"{delivery.message} on {delivery.topic} at {session.client}")
                continue
            if not any(
                matches(interest.topic_filter, delivery.topic)
                and interest.perhaps_covers(message.begun_at, delivery.at)
                for interest in session.interests
            ):
                self._blame(
                    "unasked", f"{delivery.message} came to {session.client} at {delivery.at:.3f}"
                )
            if delivery.qos == 2:
                if delivery.is_new:
                    new_qos2[delivery.message] += 1
                else:
                    self.counts["repeats of QoS 2, recognised"] += 1
                    if begun.get(delivery.packet_id) == delivery.message:
                        continue
                    self._blame(
                        "packet id",
                        f"{delivery.packet_id} at {session.client} was that of "
                        f"{begun.get(delivery.packet_id)}, then of {delivery.message}",
                    )
                begun[delivery.packet_id] = delivery.message
            key = (message.publisher, delivery.topic, delivery.qos)
            if message.serial in seen[key]:
                self.counts["repeats of QoS 1"] += delivery.qos == 1
            elif message.serial < newest.get(key, 0) and not session.forgotten_at:
                self._blame(
                    "order",
                    f"{delivery.message} came to {session.client} first after "
                    f"{message.publisher}:{newest[key]} on {delivery.topic}",
                )
            seen[key].add(message.serial)
            newest[key] = max(newest.get(key, 0), message.serial)
            if delivery.qos == 1:
                self._check_repeat(session, message, key, last, descents, copies)
        for name, times in new_qos2.items():
            if times > 1 and not may_lose:
                self._blame("duplicate", f"{name} came {times} times to {session.client}")

    def _check_repeat(self, session, message, key, last, descents, copies):
        """Within one connection the server has no reason of its own to repeat a QoS 1 message: it has
        as many as the publisher sent, and goes back only where the publisher began again."""
        copies[message.name] += 1
        if copies[message.name] == max(1, message.sent if message.qos == 1 else 1) + 1:
            self._blame(
                "repeat",
                f"{message.name}, sent {message.sent} times with QoS {message.qos}, came more often to "
                f"{session.client} within one connection",
            )
        if message.serial < last.get(key, -1):
            descents[key] += 1
            publisher = self.sessions.get(message.publisher)
            if descents[key] == (len(publisher.arrivals_at) if publisher else 1):
                self._blame("order", f"{session.client} was taken back without a cause on {key[1]}")
        last[key] = message.serial

    def _check_retained(self):
        writes = collections.defaultdict(list)
        for message in self.messages.values():
            if message.retain:
                writes[message.topic].append(message)
        for read in self._reads:
            given, began_at = read.data
            for topic in given:
                if topic not in writes:
                    self._blame("retained", f"{topic} has {given[topic]}, and nobody wrote it")
            for topic, all_of_topic in writes.items():
                begun = [m for m in all_of_topic if m.begun_at <= read.at and not m.is_refused]
                surely = [
                    index
                    for index, m in enumerate(begun)
                    if m.acknowledged_at is not None and m.acknowledged_at < began_at
                ]
                possible = begun[surely[-1] if surely else 0 :]
                allowed = {m.name if m.retain == "retain" else None for m in possible}
                if not surely:
                    allowed.add(None)
                self.counts["retained values compared"] += 1
                if given.get(topic) not in allowed:
                    self._blame(
                        "retained",
                        f"{topic} has {given.get(topic)} at {read.at:.3f}, allowed: "
                        f"{', '.join(str(a) for a in sorted(allowed, key=str)[:4])}",
                    )

    def _check_wills(self):
        came = collections.Counter()
        first_at = {}
        for session in self.sessions.values():
            for delivery in session.deliveries:
                if delivery.qos == 2 and delivery.is_new:
                    came[delivery.message, session.client] += 1
                first_at.setdefault(delivery.message, delivery.at)
        for client, will in self.wills.items():
            name = will["message"]
            if name not in first_at:
                continue
            self.counts["wills that came"] += 1
            if "discarded_at" in will:
                # What the server had read when it closed; a kill soon after may bring the will back.
                killed = any(
                    will["disconnecting_at"] - 1 <= at <= will["discarded_at"] + 2
                    for at in self._server_died_at
                )
                if not killed:
                    self._blame("will", f"{name} of {client}, which had said DISCONNECT")


def owed(history):
    return Checker(history).owed()


def check(history, may_lose=False):
    checker = Checker(history)
    checker.check(may_lose)
    return checker
