"""Rows of malformed input: the bytes, the rule they break, the answer that is due.

A row is sent on a connection of its own, as its first bytes (`first`) or after a successful CONNECT
(`v5`, `v311`). The answers are those of MQTT 5.0 section 4.13 and of MQTT 3.1.1 section 4.8.
The rows themselves are in malformed_connect.py and malformed_packets.py.
"""

import dataclasses
import re
import typing

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
