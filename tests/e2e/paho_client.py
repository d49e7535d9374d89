"""python3-paho-mqtt for tests: answers instead of callbacks."""

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCodes
from paho.mqtt.subscribeoptions import SubscribeOptions

import harness
from harness import eventually


def properties(packet_type, **values):
    """properties("PUBLISH", ContentType="x", UserProperty=[("a", "b")])"""
    made = Properties(getattr(PacketTypes, packet_type))
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Client:
    """One connected client, with its network loop in a thread of its own."""

    def __init__(
        self,
        broker,
        client_id="",
        version=5,
        clean=True,
        keep_alive_s=60,
        connect_properties=None,
        will=None,
        user=None,
        expect_refusal=False,
    ):
        """`will` is keyword arguments of will_set(); `user` is (name, password)."""
        self.version = version
        self.messages = []
        self.connack = None  # (session present, reason code, properties)
        self.disconnect = None  # (reason code, properties)
        self._is_dropped = False
        self._answers = {}  # message id -> reason codes of SUBACK or UNSUBACK
        arguments = {"clean_session": clean} if version != 5 else {}
        self.paho = mqtt.Client(client_id, protocol=version, **arguments)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_message = self._on_message
        self.paho.on_subscribe = self._on_answer
        self.paho.on_unsubscribe = self._on_unsubscribe
        if will:
            self.paho.will_set(**will)
        if user:
            self.paho.username_pw_set(*user)
        more = {"clean_start": clean, "properties": connect_properties} if version == 5 else {}
        self.paho.connect(broker.host, broker.port, keep_alive_s, **more)
        self.paho.loop_start()
        eventually(lambda: self.connack, "CONNACK")
        if not expect_refusal and self.connack[1] != 0:
            raise AssertionError(f"refused: {self.connack[1]}")

    # ---- callbacks, in paho's thread ----

    def _on_connect(self, _client, _data, flags, reason, made=None):
        self.connack = (bool(flags["session present"]), code_of(reason), made)

    def _on_disconnect(self, _client, _data, reason, made=None):
        if self.disconnect is None:
            self.disconnect = (code_of(reason), made)

    def _on_message(self, _client, _data, message):
        self.messages.append(message)

    def _on_answer(self, _client, _data, message_id, reasons, _properties=None):
        self._answers[message_id] = [code_of(reason) for reason in reasons]

    def _on_unsubscribe(self, _client, _data, message_id, _properties=None, reasons=()):
        if not isinstance(reasons, (list, tuple)):
            reasons = [reasons]
        self._answers[message_id] = [code_of(reason) for reason in reasons]

    # ---- what tests do ----

    @property
    def payloads(self):
        return [message.payload.decode() for message in list(self.messages)]

    def subscribe(self, topic, qos=2, sub_properties=None, **options):
        """Waits for SUBACK; returns its reason code. `options` are those of SubscribeOptions."""
        if self.version == 5:
            made = SubscribeOptions(qos=qos, **options)
            status, message_id = self.paho.subscribe(topic, options=made, properties=sub_properties)
        else:
            status, message_id = self.paho.subscribe(topic, qos)
        assert status == mqtt.MQTT_ERR_SUCCESS
        return eventually(lambda: self._answers.pop(message_id, None), "SUBACK")[0]

    def unsubscribe(self, topic):
        _, message_id = self.paho.unsubscribe(topic)
        eventually(lambda: message_id in self._answers, "UNSUBACK")
        return self._answers.pop(message_id)

    def publish(self, topic, payload="", qos=1, retain=False, pub_properties=None):
        """Waits until it is acknowledged."""
        more = {"properties": pub_properties} if self.version == 5 else {}
        info = self.paho.publish(topic, payload, qos, retain, **more)
        eventually(info.is_published, lambda: f"acknowledgement of {topic}")

    def expect(self, count):
        """The first `count` messages that came."""
        eventually(
            lambda: len(self.messages) >= count,
            lambda: f"{count} messages; there are {self.payloads}",
        )
        return self.messages[:count]

    def leave(self, reason=None, disconnect_properties=None):
        """DISCONNECT, and the end of the connection."""
        if self.version == 5 and (reason is not None or disconnect_properties is not None):
            code = ReasonCodes(PacketTypes.DISCONNECT, identifier=reason or 0)
            self.paho.disconnect(code, disconnect_properties)
        else:
            self.paho.disconnect()
        eventually(lambda: self.disconnect, "the end of the connection")
        self.paho.loop_stop()

    def drop(self):
        """Ends the connection without DISCONNECT, and stays away."""
        self.paho.loop_stop(force=True)
        self.paho.socket().close()
        self._is_dropped = True

    def close(self):
        """For cleaning up: whatever state it is in."""
        if not self._is_dropped:
            self.paho.disconnect()
            self.paho.loop_stop(force=True)


def code_of(reason):
    return getattr(reason, "value", reason)


class PahoCase(harness.BrokerCase):
    version = 5

    def client(self, name="", **arguments):
        arguments.setdefault("version", self.version)
        client = Client(self.broker, client_id=self.name + name, **arguments)
        self.addCleanup(client.close)
        return client

    def keep(self, seconds=600):
        """CONNECT properties of a session that outlives its connection."""
        return properties("CONNECT", SessionExpiryInterval=seconds) if self.version == 5 else None
