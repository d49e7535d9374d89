"""Rows: what a connected client can do wrong."""

import raw_mqtt as m
from malformed import (
    BAD_ALIAS,
    BAD_FILTER,
    BAD_TOPIC,
    INVALID_TEXTS,
    MALFORMED,
    PROTOCOL_ERROR,
    UTF8,
    Answered,
    Disconnected,
    Ended,
    both,
    row,
)
from raw_mqtt import block, prop, text, u8, u16, varint

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
    )


publishes("with_qos_3", "[MQTT-3.3.1-4]", qos=3, packet_id=1)
publishes("with_dup_and_qos_0", "[MQTT-3.3.1-2]", dup=True)
publishes("to_a_plus", "[MQTT-3.3.2-2]", BAD_TOPIC, topic="a/+/b")
publishes("to_a_hash", "[MQTT-3.3.2-2]", BAD_TOPIC, topic="a/#")
publishes("to_an_empty_topic", "[MQTT-4.7.3-1]", PROTOCOL_ERROR, topic="")
publishes("with_packet_id_0_at_qos_1", "[MQTT-2.2.1-3]", PROTOCOL_ERROR, qos=1, packet_id=0)
publishes("with_packet_id_0_at_qos_2", "[MQTT-2.2.1-3]", PROTOCOL_ERROR, qos=2, packet_id=0)
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
    "with_packet_id_0",
    "[MQTT-2.2.1-3]",
    lambda version: m.subscribe(0, ("a", 0), version=version),
    PROTOCOL_ERROR,
)
both(
    "unsubscribe_with_packet_id_0",
    "[MQTT-2.2.1-3]",
    lambda version: m.unsubscribe(0, "a", version=version),
    PROTOCOL_ERROR,
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
        PROTOCOL_ERROR,
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
