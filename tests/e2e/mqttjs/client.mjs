// MQTT.js for tests: promises, a list of what came, and an end to all waiting.

import mqtt from "mqtt";

const host = process.env.MITU_E2E_HOST;
const port = process.env.MITU_E2E_PORT;
const patienceMs = Number(process.env.MITU_E2E_PATIENCE_S) * 1000;
export const version = Number(process.env.MITU_E2E_VERSION);

const open = [];

/// Waits until `predicate()` is true; fails with `what` when it never is.
export async function eventually(predicate, what) {
    const deadline = Date.now() + patienceMs;
    while (!predicate()) {
        if (Date.now() > deadline) throw new Error(`never happened: ${typeof what === "string" ? what : what()}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

/// A connected client; `messages` are {topic, payload, packet}, in the order in which they came.
export async function connect(clientId, options = {}) {
    const client = mqtt.connect(`mqtt://${host}:${port}`, {
        clientId,
        protocolVersion: version,
        reconnectPeriod: 0,
        ...options,
    });
    open.push(client);
    client.messages = [];
    client.on("message", (topic, payload, packet) => {
        client.messages.push({ topic, payload: payload.toString(), packet });
    });
    client.on("error", (error) => (client.failure = error));
    client.on("connect", (connack) => (client.connack = connack));
    client.on("disconnect", (packet) => (client.goodbye = packet));
    client.on("close", () => (client.isClosed = true));
    await eventually(() => client.connack || client.failure, "CONNACK");
    if (client.failure) throw client.failure;
    return client;
}

/// What makes a session outlive its connection, in either version.
export function persistent(seconds = 600) {
    return {
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: seconds } } : {}),
    };
}

export function payloads(client) {
    return client.messages.map((message) => message.payload);
}

export async function expectCount(client, count) {
    await eventually(
        () => client.messages.length >= count,
        () => `${count} messages; there are ${client.messages.length}`,
    );
    return client.messages;
}

/// Ends the connection without DISCONNECT.
export async function drop(client) {
    client.stream.destroy();
    await eventually(() => client.isClosed, "close");
}

export async function closeAll() {
    await Promise.all(open.map((client) => client.endAsync(true)));
}
