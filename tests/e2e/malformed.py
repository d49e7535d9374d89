"""Every way in which a peer can be wrong that we know of: bytes, the rule they break, the answer.

A row is sent on a connection of its own, as its first bytes (`first`) or after a successful CONNECT
(`v5`, `v311`). The answers are those of MQTT 5.0 section 4.13 and of MQTT 3.1.1 section 4.8.
"""

import dataclasses
import re
import typing

import raw_mqtt as m
from raw_mqtt import block, prop, text, u8, u16, varint

# ---- answers ----


@dataclasses.dataclass(frozen=True)
class Refused:
    """CONNACK with one of these codes, then the end."""

    codes: tuple
    may_be_silent: bool = False


@dataclasses.dataclass(frozen=True)
class Disconnected:
    """DISCONNECT (which only version 5 has) with this reason, then the end."""

    reason: int


@dataclasses.dataclass(frozen=True)
class Ended:
    """The end, without a word."""


@dataclasses.dataclass(frozen=True)
class Answered:
    """This packet, and the connection goes on. None: no packet, and it goes on."""

    packet: typing.Optional[bytes]


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    rule: str
    stage: str  # first, v5, v311
    sent: typing.Union[bytes, typing.Callable]  # a function is given the CONNACK
    answer: object
    mosquitto_takes_it: bool


MALFORMED, PROTOCOL_ERROR = Disconnected(0x81), Disconnected(0x82)
BAD_TOPIC, BAD_FILTER, BAD_ALIAS = Disconnected(0x90), Disconnected(0x8F), Disconnected(0x94)
UNSUPPORTED_VERSION = Refused((0x84, 0x01))

rows = []

# What mosquitto 2.0 takes without a word (or, of the unknown ids, answers otherwise). A row whose
# name matches is skipped there.
MOSQUITTO_TAKES = re.compile(
    r"connect_with_a_will_payload_format_2|connect_with_auth_data_but_no_method"
    r"|pingreq_with_.*|(pingresp|suback|unsuback)_from_a_client_.*"
    r"|(puback|pubrec|pubcomp)_with_flags_.*|pub\w+_with_bytes_left_over_v311"
    r"|(puback|pubrec|pubrel|pubcomp)_with_a_reason_that_is_not_its_own"
    r"|publish_with_(a_response_topic_with_wildcard|a_subscription_identifier|payload_format_2)"
    r"|publish_with_dup_and_qos_0_.*|subscribe_with_no_local_when_shared"
    r"|subscribe_to_(an_empty_filter|no_filter)_after_the_share_name_.*"
    r"|subscribe_to_no_share_name_.*|connect_with_a_will_with_a_response_topic_with_wildcard"
    r"|.*an_overlong_length.*|pub(rel|rec)_of_an_unknown_id"
)


def row(name, rule, stage, sent, answer):
    rows.append(Row(name, rule, stage, sent, answer, bool(MOSQUITTO_TAKES.fullmatch(name))))


def both(name, rule, make, answer):
    """In version 5, and in 3.1.1, where the only answer is the end."""
    row(name + "_v5", rule, "v5", make(5), answer)
    row(name + "_v311", rule, "v311", make(4), Ended())


INVALID_TEXTS = {
    "a_stray_continuation_byte": b"a\x80b",
    "a_cut_sequence": b"a\xe2\x82",
    "an_overlong_slash": b"a\xc0\xafb",
    "a_surrogate": b"a\xed\xa0\x80b",
    "beyond_unicode": b"a\xf4\x90\x80\x80",
    "a_null_character": b"a\x00b",
}
UTF8 = "[MQTT-1.5.4-1], [MQTT-1.5.4-2]"

# ---- the first packet ----

for _name, _bytes in {
    "connack": m.packet(m.CONNACK, 0, b"\0\0"),
    "publish": m.publish("a", b"x"),
    "puback": m.ack(m.PUBACK, 1),
    "pubrec": m.ack(m.PUBREC, 1),
    "pubrel": m.ack(m.PUBREL, 1),
    "pubcomp": m.ack(m.PUBCOMP, 1),
    "subscribe": m.subscribe(1, ("a", 0)),
    "suback": m.packet(m.SUBACK, 0, b"\0\1\0\0"),
    "unsubscribe": m.unsubscribe(1, "a"),
    "unsuback": m.packet(m.UNSUBACK, 0, b"\0\1\0\0"),
    "pingreq": m.PING,
    "pingresp": m.packet(m.PINGRESP, 0),
    "disconnect": m.disconnect(),
    "auth": m.packet(m.AUTH, 0, b"\x18" + block(prop.auth_method("x"))),
    "type_0": m.packet(0, 0),
}.items():
    row(f"first_packet_is_{_name}", "[MQTT-3.1.0-1]", "first", _bytes, Ended())

row(
    "first_bytes_are_http", "[MQTT-3.1.0-1]", "first", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ended()
)
row(
    "first_bytes_are_tls",
    "[MQTT-3.1.0-1]",
    "first",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1" + bytes(161),
    Ended(),
)
row("first_bytes_are_ssh", "[MQTT-3.1.0-1]", "first", b"SSH-2.0-OpenSSH_9.2p1\r\n", Ended())
for _flags in (1, 2, 4, 8):
    row(
        f"connect_with_fixed_header_flags_{_flags}",
        "[MQTT-2.1.3-1]",
        "first",
        u8(0x10 | _flags) + m.connect()[1:],
        Ended(),
    )
row(
    "connect_with_remaining_length_0",
    "MQTT 5.0 section 3.1",
    "first",
    b"\x10\x00",
    Refused((0x81,), True),
)
row(
    "connect_with_five_length_bytes",
    "[MQTT-1.5.5-1]",
    "first",
    b"\x10\x80\x80\x80\x80\x01" + m.connect()[2:],
    Refused((0x81,), True),
)
row(
    "connect_with_an_overlong_length",
    "[MQTT-1.5.5-1]",
    "first",
    u8(0x10) + u8(m.connect()[1] | 0x80) + b"\0" + m.connect()[2:],
    Refused((0x81,), True),
)
row(
    "connect_of_256_megabytes",
    "[MQTT-3.2.2-15]",
    "first",
    b"\x10\xff\xff\xff\x7f" + m.connect()[2:],
    Refused((0x95,), True),
)

# ---- CONNECT: protocol ----

for _level in (0, 2, 6, 127, 255):
    row(
        f"connect_with_level_{_level}",
        "[MQTT-3.1.2-2]",
        "first",
        m.connect(level=_level),
        UNSUPPORTED_VERSION,
    )
row(
    "connect_with_the_level_of_31_and_the_name_of_311",
    "[MQTT-3.1.2-2]",
    "first",
    m.connect(version=4, level=3),
    UNSUPPORTED_VERSION,
)
row(
    "connect_with_the_name_of_31_and_the_level_of_311",
    "[MQTT-3.1.2-2]",
    "first",
    m.connect(version=4, protocol="MQIsdp"),
    UNSUPPORTED_VERSION,
)
for _name, _protocol in {
    "in_lower_case": "mqtt",
    "too_long": "MQTTT",
    "too_short": "MQT",
    "empty": "",
    "foreign": "AMQP",
    "not_text": b"\xff\xfe\xfd\xfc",
}.items():
    row(
        f"connect_with_a_protocol_name_{_name}",
        "[MQTT-3.1.2-1]",
        "first",
        m.connect(protocol=_protocol),
        Refused((0x84, 0x01), True),
    )

# ---- CONNECT: flags and payload; 3.1.1 closes without CONNACK [MQTT-3.1.4-1] ----


def connects(name, rule, answer=Refused((0x81,)), **arguments):
    row(name + "_v5", rule, "first", m.connect(version=5, **arguments), answer)
    row(name + "_v311", rule, "first", m.connect(version=4, **arguments), Ended())


connects("connect_with_the_reserved_flag", "[MQTT-3.1.2-3]", flags=0x03)
connects("connect_with_will_qos_3", "[MQTT-3.1.2-12]", flags=0x1E, will=("w", b"x", 0, False))
connects("connect_with_will_qos_and_no_will", "[MQTT-3.1.2-11]", flags=0x0A)
connects("connect_with_will_retain_and_no_will", "[MQTT-3.1.2-13]", flags=0x22)
connects("connect_with_a_will_that_is_not_there", "[MQTT-3.1.3-1]", flags=0x06)
connects("connect_with_a_user_name_that_is_not_there", "[MQTT-3.1.3-1]", flags=0x82)
connects("connect_with_a_password_that_is_not_there", "[MQTT-3.1.3-1]", flags=0xC2, user_name="u")
connects("connect_with_bytes_left_over", "MQTT 5.0 section 4.13.1", tail=b"more")
row(
    "connect_with_a_password_but_no_user_name_v311",
    "MQTT 3.1.1 [MQTT-3.1.2-22]",
    "first",
    m.connect(version=4, client_id="c", password=b"p"),
    Ended(),
)
row(
    "connect_with_an_empty_client_id_and_a_kept_session_v311",
    "MQTT 3.1.1 [MQTT-3.1.3-8]",
    "first",
    m.connect(version=4, clean=False),
    Refused((0x02,)),
)
for _name, _bytes in INVALID_TEXTS.items():
    connects(f"client_id_with_{_name}", UTF8, client_id=_bytes)
    connects(f"user_name_with_{_name}", UTF8, user_name=_bytes)
    connects(f"will_topic_with_{_name}", UTF8, will=(_bytes, b"x", 0, False))
for _name, _topic in {"a_plus": "a/+", "a_hash": "a/#"}.items():
    connects(
        f"will_topic_with_{_name}",
        "[MQTT-4.7.1-1]",
        Refused((0x90,)),
        will=(_topic, b"x", 0, False),
    )
connects("will_topic_that_is_empty", "[MQTT-4.7.3-1]", Refused((0x90,)), will=("", b"x", 0, False))

# ---- CONNECT: properties ----


def connect_properties(name, rule, code, properties):
    row(
        f"connect_with_{name}",
        rule,
        "first",
        m.connect(client_id="properties", properties=properties),
        Refused((code,)),
        mosquitto,
    )


TWICE = "MQTT 5.0 section 3.1.2.11: a Protocol Error to include it twice"
for _name, _property in {
    "session_expiry": prop.session_expiry(1),
    "receive_maximum": prop.receive_maximum(1),
    "maximum_packet_size": prop.maximum_packet_size(1000),
    "topic_alias_maximum": prop.topic_alias_maximum(1),
    "request_response": prop.request_response(1),
    "request_problem": prop.request_problem(1),
    "auth_method": prop.auth_method("x"),
}.items():
    connect_properties(f"{_name}_twice", TWICE, 0x82, block(_property, _property))
connect_properties(
    "receive_maximum_0", "MQTT 5.0 section 3.1.2.11.3", 0x82, block(prop.receive_maximum(0))
)
connect_properties(
    "maximum_packet_size_0", "MQTT 5.0 section 3.1.2.11.4", 0x82, block(prop.maximum_packet_size(0))
)
connect_properties(
    "request_response_2", "MQTT 5.0 section 3.1.2.11.6", 0x82, block(prop.request_response(2))
)
connect_properties(
    "request_problem_2", "MQTT 5.0 section 3.1.2.11.7", 0x82, block(prop.request_problem(2))
)
connect_properties(
    "auth_data_but_no_method", "MQTT 5.0 section 3.1.2.11.10", 0x82, block(prop.auth_data("x"))
)
connect_properties(
    "an_unknown_auth_method", "[MQTT-4.12.0-1]", 0x8C, block(prop.auth_method("HAND-SHAKE"))
)
connect_properties("an_unknown_property", "MQTT 5.0 section 2.2.2.2", 0x81, block(b"\x7e\x00"))
connect_properties(
    "a_property_of_publish", "MQTT 5.0 section 2.2.2.2", 0x81, block(prop.topic_alias(1))
)
connect_properties(
    "a_property_of_connack", "MQTT 5.0 section 2.2.2.2", 0x81, block(prop.server_keep_alive(1))
)
connect_properties("property_0", "MQTT 5.0 section 2.2.2.2", 0x81, block(b"\x00"))
connect_properties("a_property_cut_short", "MQTT 5.0 section 4.13.1", 0x81, varint(3) + b"\x11\0\0")
connect_properties(
    "properties_longer_than_the_packet",
    "MQTT 5.0 section 4.13.1",
    0x81,
    varint(100) + prop.session_expiry(1),
)
connect_properties(
    "a_property_length_of_five_bytes", "[MQTT-1.5.5-1]", 0x81, b"\x80\x80\x80\x80\x01"
)
connect_properties("a_user_property_that_is_not_text", UTF8, 0x81, block(prop.user(b"\xff", "v")))
connect_properties(
    "a_user_property_without_value", "MQTT 5.0 section 1.5.7", 0x81, block(b"\x26" + text("name"))
)
for _name, _code, _properties in (
    ("will_delay_twice", 0x82, block(prop.will_delay(1), prop.will_delay(1))),
    ("a_will_payload_format_2", 0x82, block(prop.payload_format(2))),
    ("a_will_with_a_property_of_connect", 0x81, block(prop.session_expiry(1))),
    ("a_will_with_an_unknown_property", 0x81, block(b"\x7e\x00")),
    ("a_will_with_properties_longer_than_the_packet", 0x81, varint(200)),
    ("a_will_with_a_response_topic_with_wildcard", 0x82, block(prop.response_topic("a/#"))),
):
    row(
        f"connect_with_{_name}",
        "MQTT 5.0 section 3.1.3.2",
        "first",
        m.connect(client_id="c", will=("w", b"x", 0, False, _properties)),
        Refused((_code,)),
    )

# ---- fixed headers of a connected client ----

for _name, _bytes in {
    "puback": m.ack(m.PUBACK, 1),
    "pubrec": m.ack(m.PUBREC, 1),
    "pubcomp": m.ack(m.PUBCOMP, 1),
    "pingreq": m.PING,
    "disconnect": m.disconnect(),
}.items():
    for _flags in (1, 8):
        both(
            f"{_name}_with_flags_{_flags}",
            "[MQTT-2.1.3-1]",
            lambda version, sent=_bytes, flags=_flags: u8(sent[0] | flags) + sent[1:],
            MALFORMED,
        )
for _flags in (0, 1, 3, 6):
    both(
        f"pubrel_with_flags_{_flags}",
        "[MQTT-3.6.1-1]",
        lambda version, flags=_flags: m.ack(m.PUBREL, 1, flags=flags),
        MALFORMED,
    )
    both(
        f"subscribe_with_flags_{_flags}",
        "[MQTT-3.8.1-1]",
        lambda version, flags=_flags: m.subscribe(1, ("a", 0), version=version, flags=flags),
        MALFORMED,
    )
    both(
        f"unsubscribe_with_flags_{_flags}",
        "[MQTT-3.10.1-1]",
        lambda version, flags=_flags: m.unsubscribe(1, "a", version=version, flags=flags),
        MALFORMED,
    )
both("packet_type_0", "MQTT 5.0 section 2.1.2", lambda version: m.packet(0, 0), MALFORMED)
row("packet_type_15_v311", "MQTT 3.1.1 section 2.2.1", "v311", m.packet(m.AUTH, 0), Ended())
both(
    "a_second_connect",
    "[MQTT-3.1.0-2]",
    lambda version: m.connect(version=version, client_id="again"),
    PROTOCOL_ERROR,
)
for _name, _bytes in {
    "connack": m.packet(m.CONNACK, 0, b"\0\0\0"),
    "suback": m.packet(m.SUBACK, 0, b"\0\1\0\0"),
    "unsuback": m.packet(m.UNSUBACK, 0, b"\0\1\0\0"),
    "pingresp": m.packet(m.PINGRESP, 0),
}.items():
    both(
        f"{_name}_from_a_client",
        "MQTT 5.0 section 2.1.2",
        lambda version, sent=_bytes: sent,
        PROTOCOL_ERROR,
    )
both(
    "a_length_of_five_bytes",
    "[MQTT-1.5.5-1]",
    lambda version: b"\x30\xff\xff\xff\xff\x7f",
    MALFORMED,
)
both(
    "an_overlong_length",
    "[MQTT-1.5.5-1]",
    lambda version: b"\xc0\x80\x00",
    MALFORMED,
)
both(
    "pingreq_with_a_body",
    "MQTT 5.0 section 3.12",
    lambda version: m.packet(m.PINGREQ, 0, b"x"),
    MALFORMED,
)
row(
    "a_packet_above_the_maximum",
    "[MQTT-3.2.2-15]",
    "v5",
    lambda connack: u8(0x30) + varint(connack.properties()[0x27][0] + 1),
    Disconnected(0x95),
)
row(
    "a_packet_above_the_maximum_v311",
    "MQTT 3.1.1 section 4.8",
    "v311",
    b"\x30\xff\xff\xff\x7f",
    Ended(),
)
both(
    "a_packet_of_256_megabytes",
    "[MQTT-3.2.2-15]",
    lambda version: b"\x30\xff\xff\xff\x7f" + b"x" * 100,
    Disconnected(0x95),
)

# ---- PUBLISH ----


def publishes(name, rule, answer=MALFORMED, **arguments):
    both(
        f"publish_{name}",
        rule,
        lambda version: m.publish(**{"topic": "a", **arguments}, version=version),
        answer,
        mosquitto,
    )


publishes("with_qos_3", "[MQTT-3.3.1-4]", qos=3, packet_id=1)
publishes("with_dup_and_qos_0", "[MQTT-3.3.1-2]", dup=True)
publishes("to_a_plus", "[MQTT-3.3.2-2]", BAD_TOPIC, topic="a/+/b")
publishes("to_a_hash", "[MQTT-3.3.2-2]", BAD_TOPIC, topic="a/#")
publishes("to_an_empty_topic", "[MQTT-4.7.3-1]", PROTOCOL_ERROR, topic="")
publishes("with_packet_id_0_at_qos_1", "[MQTT-2.2.1-3]", qos=1, packet_id=0)
publishes("with_packet_id_0_at_qos_2", "[MQTT-2.2.1-3]", qos=2, packet_id=0)
for _name, _bytes in INVALID_TEXTS.items():
    publishes(f"to_a_topic_with_{_name}", UTF8, topic=_bytes)
both(
    "publish_with_a_topic_longer_than_the_packet",
    "MQTT 5.0 section 4.13.1",
    lambda version: m.packet(m.PUBLISH, 0, u16(100) + b"abc"),
    MALFORMED,
)
both(
    "publish_without_topic",
    "MQTT 5.0 section 4.13.1",
    lambda version: m.packet(m.PUBLISH, 0),
    MALFORMED,
)
both(
    "publish_without_packet_id",
    "[MQTT-2.2.1-2]",
    lambda version: m.packet(m.PUBLISH, 2, text("a")),
    MALFORMED,
)


def publish_properties(name, rule, answer, properties, topic="a"):
    row(f"publish_with_{name}", rule, "v5", m.publish(topic, b"x", properties=properties), answer)


for _name, _property in {
    "payload_format": prop.payload_format(1),
    "message_expiry": prop.message_expiry(1),
    "content_type": prop.content_type("x"),
    "response_topic": prop.response_topic("x"),
    "correlation_data": prop.correlation_data("x"),
    "topic_alias": prop.topic_alias(1),
}.items():
    publish_properties(
        f"{_name}_twice", "MQTT 5.0 section 3.3.2.3", PROTOCOL_ERROR, block(_property, _property)
    )
publish_properties("topic_alias_0", "[MQTT-3.3.2-8]", BAD_ALIAS, block(prop.topic_alias(0)))
row(
    "publish_with_a_topic_alias_above_the_maximum",
    "[MQTT-3.3.2-9]",
    "v5",
    lambda connack: m.publish(
        "a", properties=block(prop.topic_alias(connack.properties().get(0x22, [0])[0] + 1))
    ),
    BAD_ALIAS,
)
publish_properties(
    "a_topic_alias_never_set",
    "MQTT 5.0 section 3.3.2.3.4",
    PROTOCOL_ERROR,
    block(prop.topic_alias(1)),
    topic="",
)
publish_properties(
    "a_subscription_identifier", "[MQTT-3.3.4-6]", PROTOCOL_ERROR, block(prop.subscription_id(1))
)
publish_properties(
    "payload_format_2", "MQTT 5.0 section 3.3.2.3.2", PROTOCOL_ERROR, block(prop.payload_format(2))
)
publish_properties(
    "a_response_topic_with_wildcard",
    "[MQTT-3.3.2-14]",
    PROTOCOL_ERROR,
    block(prop.response_topic("a/+")),
)
publish_properties(
    "a_response_topic_that_is_not_text",
    "[MQTT-3.3.2-13]",
    MALFORMED,
    block(prop.response_topic(b"\xff")),
)
publish_properties(
    "a_content_type_that_is_not_text",
    "[MQTT-3.3.2-19]",
    MALFORMED,
    block(prop.content_type(b"\xff")),
)
publish_properties(
    "a_user_property_name_that_is_not_text", UTF8, MALFORMED, block(prop.user(b"\xff", "v"))
)
publish_properties(
    "a_user_property_value_that_is_not_text", UTF8, MALFORMED, block(prop.user("n", b"\xff"))
)
publish_properties("an_unknown_property", "MQTT 5.0 section 2.2.2.2", MALFORMED, block(b"\x7e\x00"))
publish_properties(
    "a_property_of_connect", "MQTT 5.0 section 2.2.2.2", MALFORMED, block(prop.session_expiry(1))
)
publish_properties(
    "an_identifier_of_two_bytes", "MQTT 5.0 section 2.2.2.2", MALFORMED, block(b"\xa6\x01\x00\x00")
)
publish_properties(
    "a_property_cut_short", "MQTT 5.0 section 4.13.1", MALFORMED, varint(3) + b"\x02\0\0"
)
publish_properties(
    "properties_longer_than_the_packet", "MQTT 5.0 section 4.13.1", MALFORMED, varint(99)
)
row(
    "publish_without_property_length",
    "[MQTT-2.2.2-1]",
    "v5",
    m.packet(m.PUBLISH, 0, text("a")),
    MALFORMED,
)

# ---- SUBSCRIBE, UNSUBSCRIBE ----

BAD_FILTERS = {
    "a_hash_in_the_middle": "a/#/b",
    "a_hash_that_is_not_a_level": "a#",
    "a_level_after_a_leading_hash": "#/a",
    "a_hash_before_text": "#a",
    "a_plus_that_is_not_a_level": "a+",
    "a_plus_before_text": "a/+b/c",
    "no_character": "",
}
BAD_SHARES = {
    "no_share_name": "$share//a",
    "a_plus_in_the_share_name": "$share/g+/a",
    "a_hash_in_the_share_name": "$share/#/a",
    "no_filter_after_the_share_name": "$share/g",
    "an_empty_filter_after_the_share_name": "$share/g/",
    "a_bad_filter_after_the_share_name": "$share/g/a/#/b",
}


def subscribes(name, rule, make, answer=MALFORMED):
    both(f"subscribe_{name}", rule, make, answer)


for _name, _filter in {**BAD_FILTERS, **BAD_SHARES}.items():
    _rule = (
        "[MQTT-4.8.2-1], [MQTT-4.8.2-2]" if "share" in _name else "[MQTT-4.7.1-1], [MQTT-4.7.3-1]"
    )
    subscribes(
        f"to_{_name}",
        _rule,
        lambda version, f=_filter: m.subscribe(1, (f, 0), version=version),
        BAD_FILTER,
    )
    subscribes(
        f"to_{_name}_after_a_good_one",
        _rule,
        lambda version, f=_filter: m.subscribe(1, ("good", 0), (f, 0), version=version),
        BAD_FILTER,
    )
for _name, _filter in BAD_FILTERS.items():
    both(
        f"unsubscribe_from_{_name}",
        "[MQTT-4.7.1-1], [MQTT-4.7.3-1]",
        lambda version, f=_filter: m.unsubscribe(1, f, version=version),
        BAD_FILTER,
    )
for _name, _bytes in INVALID_TEXTS.items():
    subscribes(
        f"to_{_name}", UTF8, lambda version, f=_bytes: m.subscribe(1, (f, 0), version=version)
    )
    both(
        f"unsubscribe_from_{_name}",
        UTF8,
        lambda version, f=_bytes: m.unsubscribe(1, f, version=version),
        MALFORMED,
    )
subscribes(
    "without_filters",
    "[MQTT-3.8.3-2]",
    lambda version: m.subscribe(1, version=version),
    PROTOCOL_ERROR,
)
both(
    "unsubscribe_without_filters",
    "[MQTT-3.10.3-2]",
    lambda version: m.unsubscribe(1, version=version),
    PROTOCOL_ERROR,
)
subscribes(
    "with_packet_id_0", "[MQTT-2.2.1-3]", lambda version: m.subscribe(0, ("a", 0), version=version)
)
both(
    "unsubscribe_with_packet_id_0",
    "[MQTT-2.2.1-3]",
    lambda version: m.unsubscribe(0, "a", version=version),
    MALFORMED,
)
subscribes(
    "without_options",
    "MQTT 5.0 section 3.8.3",
    lambda version: m.subscribe(1, ("a", 0), version=version)[:1]
    + u8(m.subscribe(1, ("a", 0), version=version)[1] - 1)
    + m.subscribe(1, ("a", 0), version=version)[2:-1],
)
subscribes(
    "with_qos_3",
    "MQTT 5.0 section 3.8.3.1, MQTT 3.1.1 [MQTT-3.8.3-4]",
    lambda version: m.subscribe(1, ("a", 3), version=version),
    PROTOCOL_ERROR,
)
subscribes(
    "with_reserved_option_bits",
    "[MQTT-3.8.3-5]",
    lambda version: m.subscribe(1, ("a", 0x80), version=version),
)
subscribes(
    "to_a_filter_longer_than_the_packet",
    "MQTT 5.0 section 4.13.1",
    lambda version: m.packet(
        m.SUBSCRIBE, 2, u16(1) + (b"\0" if version == 5 else b"") + u16(50) + b"a\0"
    ),
)
row(
    "subscribe_with_no_local_when_shared",
    "[MQTT-3.8.3-4]",
    "v5",
    m.subscribe(1, ("$share/g/a", 0x04)),
    PROTOCOL_ERROR,
)
row(
    "subscribe_with_retain_handling_3",
    "MQTT 5.0 section 3.8.3.1",
    "v5",
    m.subscribe(1, ("a", 0x30)),
    PROTOCOL_ERROR,
)
row(
    "subscribe_with_options_of_version_5_v311",
    "MQTT 3.1.1 [MQTT-3.8.3-4]",
    "v311",
    m.subscribe(1, ("a", 0x04), version=4),
    Ended(),
)
for _name, _answer, _properties in (
    ("identifier_0", PROTOCOL_ERROR, block(prop.subscription_id(0))),
    ("identifier_twice", PROTOCOL_ERROR, block(prop.subscription_id(1), prop.subscription_id(2))),
    ("an_identifier_of_five_bytes", MALFORMED, block(b"\x0b\xff\xff\xff\xff\x7f")),
    ("a_property_of_publish", MALFORMED, block(prop.content_type("x"))),
    ("an_unknown_property", MALFORMED, block(b"\x7e\x00")),
    ("properties_longer_than_the_packet", MALFORMED, varint(100)),
):
    row(
        f"subscribe_with_{_name}",
        "MQTT 5.0 section 3.8.2.1",
        "v5",
        m.subscribe(1, ("a", 0), properties=_properties),
        _answer,
    )
row(
    "unsubscribe_with_a_subscription_identifier",
    "MQTT 5.0 section 3.10.2.1",
    "v5",
    m.unsubscribe(1, "a", properties=block(prop.subscription_id(1))),
    MALFORMED,
)

# ---- acknowledgements, DISCONNECT, AUTH ----

for _name, _type in {
    "puback": m.PUBACK,
    "pubrec": m.PUBREC,
    "pubrel": m.PUBREL,
    "pubcomp": m.PUBCOMP,
}.items():
    both(
        f"{_name}_with_packet_id_0",
        "[MQTT-2.2.1-3]",
        lambda version, t=_type: m.ack(t, 0),
        MALFORMED,
    )
    both(
        f"{_name}_cut_short",
        "MQTT 5.0 section 4.13.1",
        lambda version, t=_type: m.packet(t, 2 if t == m.PUBREL else 0, b"\0"),
        MALFORMED,
    )
    row(
        f"{_name}_with_a_reason_that_is_not_its_own",
        "[MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1]",
        "v5",
        m.ack(_type, 1, reason=0x55),
        PROTOCOL_ERROR,
    )
    row(
        f"{_name}_with_a_property_of_publish",
        "MQTT 5.0 section 2.2.2.2",
        "v5",
        m.ack(_type, 1, reason=0, properties=block(prop.content_type("x"))),
        MALFORMED,
    )
    row(
        f"{_name}_with_reason_string_twice",
        "MQTT 5.0 section 3.4.2.2.2",
        "v5",
        m.ack(
            _type, 1, reason=0, properties=block(prop.reason_string("x"), prop.reason_string("x"))
        ),
        PROTOCOL_ERROR,
    )
    row(
        f"{_name}_with_bytes_left_over_v311",
        "MQTT 3.1.1 section 3.4",
        "v311",
        m.ack(_type, 1, reason=0),
        Ended(),
    )
row(
    "pubrel_of_an_unknown_id",
    "MQTT 5.0 section 4.3.3",
    "v5",
    m.ack(m.PUBREL, 77),
    Answered(m.ack(m.PUBCOMP, 77, reason=0x92)),
)
row(
    "pubrel_of_an_unknown_id_v311",
    "MQTT 3.1.1 [MQTT-4.3.3-2]",
    "v311",
    m.ack(m.PUBREL, 77),
    Answered(m.ack(m.PUBCOMP, 77)),
)
row(
    "pubrec_of_an_unknown_id",
    "MQTT 5.0 section 3.6.2.1",
    "v5",
    m.ack(m.PUBREC, 77),
    Answered(m.ack(m.PUBREL, 77, reason=0x92)),
)
for _name, _type in {"puback": m.PUBACK, "pubcomp": m.PUBCOMP}.items():
    row(f"{_name}_of_an_unknown_id", "MQTT 5.0 section 4.3", "v5", m.ack(_type, 77), Answered(None))
    row(
        f"{_name}_of_an_unknown_id_v311",
        "MQTT 3.1.1 section 4.3",
        "v311",
        m.ack(_type, 77),
        Answered(None),
    )

row(
    "disconnect_with_a_reason_of_the_server",
    "[MQTT-3.14.2-1]",
    "v5",
    m.disconnect(0x8D),
    PROTOCOL_ERROR,
)
row(
    "disconnect_with_an_unknown_reason", "[MQTT-3.14.2-1]", "v5", m.disconnect(0x55), PROTOCOL_ERROR
)
row(
    "disconnect_that_revives_an_expired_session",
    "MQTT 5.0 section 3.14.2.2.2",
    "v5",
    m.disconnect(0, block(prop.session_expiry(10))),
    PROTOCOL_ERROR,
)
row(
    "disconnect_with_session_expiry_twice",
    "MQTT 5.0 section 3.14.2.2.2",
    "v5",
    m.disconnect(0, block(prop.session_expiry(0), prop.session_expiry(0))),
    PROTOCOL_ERROR,
)
row(
    "disconnect_with_a_property_of_publish",
    "MQTT 5.0 section 2.2.2.2",
    "v5",
    m.disconnect(0, block(prop.topic_alias(1))),
    MALFORMED,
)
row("disconnect_with_a_body_v311", "MQTT 3.1.1 section 3.14", "v311", m.disconnect(0), Ended())
row(
    "auth_without_a_method_agreed",
    "[MQTT-4.12.0-7]",
    "v5",
    m.packet(m.AUTH, 0, b"\x18" + block(prop.auth_method("x"))),
    PROTOCOL_ERROR,
)
row(
    "auth_without_method",
    "MQTT 5.0 section 3.15.2.2.2",
    "v5",
    m.packet(m.AUTH, 0, b"\x18\x00"),
    PROTOCOL_ERROR,
)
row("auth_with_nothing", "MQTT 5.0 section 3.15.2.1", "v5", m.packet(m.AUTH, 0), PROTOCOL_ERROR)
row(
    "auth_with_flags",
    "[MQTT-3.15.1-1]",
    "v5",
    m.packet(m.AUTH, 1, b"\x18" + block(prop.auth_method("x"))),
    MALFORMED,
)
row(
    "auth_with_an_unknown_reason",
    "[MQTT-3.15.2-1]",
    "v5",
    m.packet(m.AUTH, 0, b"\x55" + block(prop.auth_method("x"))),
    PROTOCOL_ERROR,
)
