// node web.mjs URL CA PROTOCOL: a message to itself by MQTT.js over WebSocket, TLS or TCP, as the URL says.
// Ends with 0, or with 1 and the reason. CA: a PEM file, or "" for what the system believes.

import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const [url, ca, protocol] = process.argv.slice(2);
const client = mqtt.connect(url, {
    protocolVersion: Number(protocol),
    reconnectPeriod: 0,
    clientId: `web-${process.pid}`,
    ...(ca ? { ca: readFileSync(ca) } : {}),
});
const end = (status, text) => {
    console.log(text);
    process.exit(status);
};
setTimeout(() => end(1, "nothing happened"), Number(process.env.MITU_E2E_PATIENCE_S) * 1000);
client.on("error", (error) => end(1, `error: ${error.message ?? error}`));
client.on("close", () => end(1, "closed"));
client.on("message", (_, payload) => end(payload.length === 70_000 ? 0 : 1, `${payload.length} bytes`));
client.on("connect", async () => {
    await client.subscribeAsync("mqttjs/web", { qos: 1 });
    await client.publishAsync("mqttjs/web", Buffer.alloc(70_000, 7), { qos: 1 });
});
