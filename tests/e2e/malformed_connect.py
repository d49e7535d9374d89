"""Rows: what is wrong about the first packet, and about CONNECT."""

import raw_mqtt as m
from malformed import INVALID_TEXTS, UNSUPPORTED_VERSION, UTF8, Ended, Refused, row
from raw_mqtt import block, prop, text, u8, varint

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
