"""MQTT by hand: packets as bytes, right or wrong, and a socket that tells what came back.

Nothing here refuses to build a malformed packet; that is what it is for. `version` is 4 (3.1.1) or 5.
"""

import dataclasses
import socket
import struct
import time

import harness

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)


# ---- parts of packets ----


def u8(value):
    return struct.pack(">B", value)


def u16(value):
    return struct.pack(">H", value)


def u32(value):
    return struct.pack(">I", value)


def varint(value):
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def text(value):
    """A length and its bytes; `bytes` go in as they are, valid UTF-8 or not."""
    raw = value.encode() if isinstance(value, str) else value
    return u16(len(raw)) + raw


def packet(packet_type, flags, body=b""):
    return u8(packet_type << 4 | flags) + varint(len(body)) + body


def block(*properties):
    """A property block: the length, then the properties."""
    joined = b"".join(properties)
    return varint(len(joined)) + joined


class prop:
    """Properties of MQTT 5.0 section 2.2.2.2, by their identifiers."""

    payload_format = staticmethod(lambda value: b"\x01" + u8(value))
    message_expiry = staticmethod(lambda seconds: b"\x02" + u32(seconds))
    content_type = staticmethod(lambda value: b"\x03" + text(value))
    response_topic = staticmethod(lambda value: b"\x08" + text(value))
    correlation_data = staticmethod(lambda value: b"\x09" + text(value))
    subscription_id = staticmethod(lambda value: b"\x0b" + varint(value))
    session_expiry = staticmethod(lambda seconds: b"\x11" + u32(seconds))
    server_keep_alive = staticmethod(lambda seconds: b"\x13" + u16(seconds))
    auth_method = staticmethod(lambda value: b"\x15" + text(value))
    auth_data = staticmethod(lambda value: b"\x16" + text(value))
    request_problem = staticmethod(lambda value: b"\x17" + u8(value))
    will_delay = staticmethod(lambda seconds: b"\x18" + u32(seconds))
    request_response = staticmethod(lambda value: b"\x19" + u8(value))
    reason_string = staticmethod(lambda value: b"\x1f" + text(value))
    receive_maximum = staticmethod(lambda value: b"\x21" + u16(value))
    topic_alias_maximum = staticmethod(lambda value: b"\x22" + u16(value))
    topic_alias = staticmethod(lambda value: b"\x23" + u16(value))
    user = staticmethod(lambda name, value: b"\x26" + text(name) + text(value))
    maximum_packet_size = staticmethod(lambda value: b"\x27" + u32(value))


# ---- packets ----


def connect(
    version=5,
    client_id="",
    clean=True,
    keep_alive_s=0,
    properties=None,
    flags=None,
    protocol="MQTT",
    level=None,
    will=None,
    user_name=None,
    password=None,
    tail=b"",
):
    """`flags` overrides what the other arguments say; `will` is (topic, payload, qos, retain) or
    the same with a property block."""
    computed = 0x02 if clean else 0
    payload = text(client_id)
    if will:
        topic, message, qos, retain, *will_properties = will
        computed |= 0x04 | qos << 3 | (0x20 if retain else 0)
        if version == 5:
            payload += will_properties[0] if will_properties else block()
        payload += text(topic) + text(message)
    if user_name is not None:
        computed |= 0x80
        payload += text(user_name)
    if password is not None:
        computed |= 0x40
        payload += text(password)
    head = text(protocol) + u8(version if level is None else level)
    head += u8(computed if flags is None else flags) + u16(keep_alive_s)
    if version == 5:
        head += block() if properties is None else properties
    return packet(CONNECT, 0, head + payload + tail)


def publish(
    topic, payload=b"", qos=0, packet_id=None, retain=False, dup=False, properties=None, version=5
):
    body = text(topic)
    if packet_id is not None:
        body += u16(packet_id)
    if version == 5:
        body += block() if properties is None else properties
    return packet(PUBLISH, dup << 3 | qos << 1 | retain, body + payload)


def subscribe(packet_id, *filters, properties=None, version=5, flags=2):
    """Each filter is (filter, options byte)."""
    body = u16(packet_id)
    if version == 5:
        body += block() if properties is None else properties
    for name, options in filters:
        body += text(name) + u8(options)
    return packet(SUBSCRIBE, flags, body)


def unsubscribe(packet_id, *filters, properties=None, version=5, flags=2):
    body = u16(packet_id)
    if version == 5:
        body += block() if properties is None else properties
    return packet(UNSUBSCRIBE, flags, body + b"".join(text(name) for name in filters))


def ack(packet_type, packet_id, reason=None, properties=None, flags=None):
    body = u16(packet_id)
    if reason is not None:
        body += u8(reason)
    if properties is not None:
        body += properties
    default_flags = 2 if packet_type == PUBREL else 0
    return packet(packet_type, default_flags if flags is None else flags, body)


def disconnect(reason=None, properties=None):
    body = b"" if reason is None else u8(reason)
    return packet(DISCONNECT, 0, body + (properties or b""))


PING = packet(PINGREQ, 0)


# ---- what comes back ----


class Closed(Exception):
    """The broker has closed the connection."""


@dataclasses.dataclass
class Packet:
    type: int
    flags: int
    body: bytes

    def _u16(self, offset):
        return struct.unpack_from(">H", self.body, offset)[0]

    @property
    def connack_code(self):
        return self.body[1]

    @property
    def session_present(self):
        return bool(self.body[0] & 1)

    @property
    def disconnect_reason(self):
        return self.body[0] if self.body else 0

    @property
    def qos(self):
        return self.flags >> 1 & 3

    @property
    def dup(self):
        return bool(self.flags & 8)

    @property
    def topic(self):
        return self.body[2 : 2 + self._u16(0)].decode()

    @property
    def packet_id(self):
        return self._u16(2 + self._u16(0)) if self.type == PUBLISH else self._u16(0)

    @property
    def ack_reason(self):
        return self.body[2] if len(self.body) > 2 else 0

    def _after_head(self):
        """Offset of the property block of a version 5 PUBLISH, CONNACK or SUBACK."""
        if self.type == PUBLISH:
            return 2 + self._u16(0) + (2 if self.qos else 0)
        return 2

    def payload(self, version):
        offset = self._after_head()
        if version == 5:
            size, offset = read_varint(self.body, offset)
            offset += size
        return self.body[offset:]

    def properties(self):
        """{identifier: [raw value, ...]} of a version 5 packet."""
        size, offset = read_varint(self.body, self._after_head())
        found, end = {}, offset + size
        while offset < end:
            identifier = self.body[offset]
            value, offset = read_property(self.body, offset + 1, identifier)
            found.setdefault(identifier, []).append(value)
        return found


def read_varint(data, offset):
    value = shift = 0
    while True:
        digit = data[offset]
        offset += 1
        value |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return value, offset


def read_property(data, offset, identifier):
    if identifier in (0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A):
        return data[offset], offset + 1
    if identifier in (0x13, 0x21, 0x22, 0x23):
        return struct.unpack_from(">H", data, offset)[0], offset + 2
    if identifier in (0x02, 0x11, 0x18, 0x27):
        return struct.unpack_from(">I", data, offset)[0], offset + 4
    if identifier == 0x0B:
        return read_varint(data, offset)

    def piece(at):
        size = struct.unpack_from(">H", data, at)[0]
        return data[at + 2 : at + 2 + size], at + 2 + size

    value, offset = piece(offset)
    if identifier == 0x26:
        second, offset = piece(offset)
        return (value.decode(), second.decode()), offset
    return value, offset


class Connection:
    """A socket to the broker. Used as a context manager, it is closed at the end, without a word."""

    def __init__(self, broker, version=5):
        self.version = version
        self._socket = socket.create_connection((broker.host, broker.port), harness.PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = b""
        self.is_closed = False  # what poll() has seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    def reset(self):
        """Closes with a TCP reset, as a peer does that has crashed."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def half_close(self):
        self._socket.shutdown(socket.SHUT_WR)

    def send(self, *pieces):
        """What the peer no longer wants to hear is not an error here; receive() tells."""
        try:
            self._socket.sendall(b"".join(pieces))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, patience_s=None):
        """The next packet. Raises Closed when there is none, AssertionError when none comes."""
        deadline = time.monotonic() + (harness.PATIENCE_S if patience_s is None else patience_s)
        while True:
            found = self._take_packet()
            if found:
                return found
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                chunk = self._socket.recv(1 << 16)
            except TimeoutError:
                raise AssertionError("the broker says nothing, and keeps the connection") from None
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise Closed
            self._input += chunk

    def poll(self):
        """The packets that have come, without waiting; `is_closed` tells whether more can."""
        packets = []
        while not self.is_closed:
            try:
                packets.append(self.receive(patience_s=0))
            except Closed:
                self.is_closed = True
            except AssertionError:
                break
        return packets

    def _take_packet(self):
        for digits in range(1, 5):
            if len(self._input) <= digits:
                return None
            if self._input[digits] < 0x80:
                break
        size, start = read_varint(self._input, 1)
        if len(self._input) < start + size:
            return None
        first, body = self._input[0], self._input[start : start + size]
        self._input = self._input[start + size :]
        return Packet(first >> 4, first & 0x0F, body)

    def receive_until_closed(self):
        """Every packet that still comes, until the broker closes."""
        packets = []
        while True:
            try:
                packets.append(self.receive())
            except Closed:
                return packets

    def expect(self, packet_type):
        received = self.receive()
        if received.type != packet_type:
            raise AssertionError(f"wanted packet type {packet_type}, got {received}")
        return received

    def hello(self, **arguments):
        """CONNECT and its CONNACK, which must be a success."""
        arguments.setdefault("version", self.version)
        self.send(connect(**arguments))
        answer = self.expect(CONNACK)
        if answer.connack_code != 0:
            raise AssertionError(f"refused: {answer}")
        return answer

    def ping(self):
        """The connection is alive, and everything sent before has been handled."""
        self.send(PING)
        self.expect(PINGRESP)
