// node matrix.mjs CASE: one test of MQTT.js against the broker that the environment names.
// `node matrix.mjs --list` prints the cases of MITU_E2E_VERSION.

import assert from "node:assert/strict";
import {
    closeAll,
    connect,
    drop,
    eventually,
    expectCount,
    payloads,
    persistent,
    version,
} from "./client.mjs";

const name = process.argv[2];
const topic = (...levels) => ["mqttjs", `v${version}`, name, ...levels].join("/");
const id = (suffix) => `mqttjs-${version}-${name}-${suffix}`;

const both = {
    async each_qos_arrives_as_it_was_sent() {
        const sub = await connect(id("sub"));
        const granted = await sub.subscribeAsync(topic("#"), { qos: 2 });
        assert.equal(granted[0].qos, 2);
        const pub = await connect(id("pub"));
        for (const qos of [0, 1, 2]) await pub.publishAsync(topic(`${qos}`), `at ${qos}`, { qos });
        await expectCount(sub, 3);
        sub.messages.forEach((message, qos) => {
            assert.equal(message.topic, topic(`${qos}`));
            assert.equal(message.payload, `at ${qos}`);
            assert.equal(message.packet.qos, qos);
            assert.equal(message.packet.retain, false);
        });
    },

    async many_messages_arrive_once_and_in_order() {
        const sub = await connect(id("sub"));
        const pub = await connect(id("pub"));
        for (const qos of [1, 2]) {
            sub.messages.length = 0;
            await sub.subscribeAsync(topic(`${qos}`), { qos });
            const sent = Array.from({ length: 500 }, (_, index) => `${index}`);
            await Promise.all(sent.map((text) => pub.publishAsync(topic(`${qos}`), text, { qos })));
            await expectCount(sub, sent.length);
            assert.deepEqual(payloads(sub), sent);
        }
    },

    async binary_payloads_pass_unchanged() {
        const sub = await connect(id("sub"));
        const pub = await connect(id("pub"));
        await sub.subscribeAsync(topic("b"), { qos: 1 });
        const sent = [Buffer.alloc(0), Buffer.from([...Array(256).keys()]), Buffer.alloc(200_000, 7)];
        const received = [];
        sub.on("message", (_, payload) => received.push(payload));
        for (const payload of sent) await pub.publishAsync(topic("b"), payload, { qos: 1 });
        await eventually(() => received.length >= sent.length, "all payloads");
        sent.forEach((payload, index) => assert.ok(payload.equals(received[index])));
    },

    async wildcards_match_levels() {
        const one = await connect(id("one"));
        const rest = await connect(id("rest"));
        await one.subscribeAsync(topic("+", "x"), { qos: 1 });
        await rest.subscribeAsync(topic("#"), { qos: 1 });
        const pub = await connect(id("pub"));
        for (const levels of [["a", "x"], ["a", "b", "x"], ["b", "x"], ["end"]]) {
            await pub.publishAsync(topic(...levels), levels.join("/"), { qos: 1 });
        }
        await expectCount(rest, 4);
        assert.deepEqual(payloads(rest), ["a/x", "a/b/x", "b/x", "end"]);
        await expectCount(one, 2);
        assert.deepEqual(payloads(one), ["a/x", "b/x"]);
    },

    async retained_messages() {
        const pub = await connect(id("pub"));
        await pub.publishAsync(topic("a"), "old", { qos: 1, retain: true });
        await pub.publishAsync(topic("a"), "new", { qos: 1, retain: true });
        await pub.publishAsync(topic("b"), "gone", { qos: 1, retain: true });
        await pub.publishAsync(topic("b"), "", { qos: 1, retain: true });
        const late = await connect(id("late"));
        await late.subscribeAsync(topic("+"), { qos: 1 });
        await pub.publishAsync(topic("c"), "fence", { qos: 1 });
        await expectCount(late, 2);
        assert.deepEqual(payloads(late), ["new", "fence"]);
        assert.equal(late.messages[0].packet.retain, true);
        assert.equal(late.messages[1].packet.retain, false);
    },

    async the_will_of_a_lost_client() {
        const watcher = await connect(id("watcher"));
        await watcher.subscribeAsync(topic("will"), { qos: 2 });
        for (const qos of [0, 1, 2]) {
            const will = { topic: topic("will"), payload: `lost ${qos}`, qos, retain: false };
            await drop(await connect(id(`lost-${qos}`), { will }));
            await expectCount(watcher, qos + 1);
            assert.equal(watcher.messages[qos].payload, `lost ${qos}`);
            assert.equal(watcher.messages[qos].packet.qos, qos);
        }
    },

    async a_goodbye_drops_the_will() {
        const watcher = await connect(id("watcher"));
        await watcher.subscribeAsync(topic("will"), { qos: 1 });
        const will = { topic: topic("will"), payload: "wrong", qos: 1, retain: false };
        const polite = await connect(id("polite"), { will });
        await polite.endAsync();
        const pub = await connect(id("pub"));
        await pub.publishAsync(topic("will"), "fence", { qos: 1 });
        await expectCount(watcher, 1);
        assert.deepEqual(payloads(watcher), ["fence"]);
    },

    async a_shared_subscription_deals_its_messages_out() {
        const members = await Promise.all([1, 2, 3].map((index) => connect(id(`member-${index}`))));
        for (const member of members) {
            await member.subscribeAsync(`$share/crew/${topic("work")}`, { qos: 1 });
        }
        const pub = await connect(id("pub"));
        const sent = Array.from({ length: 90 }, (_, index) => `${index}`);
        for (const text of sent) await pub.publishAsync(topic("work"), text, { qos: 1 });
        const dealt = () => members.flatMap(payloads);
        await eventually(() => dealt().length >= sent.length, "all are dealt out");
        assert.deepEqual(dealt().sort((a, b) => a - b), sent);
        members.forEach((member) => assert.ok(member.messages.length > 0));
    },

    async a_session_is_resumed() {
        const first = await connect(id("away"), persistent());
        assert.equal(first.connack.sessionPresent, false);
        await first.subscribeAsync(topic("inbox"), { qos: 2 });
        await first.endAsync();
        const pub = await connect(id("pub"));
        const sent = { 1: [], 2: [] };
        for (let index = 0; index < 30; ++index) {
            const qos = 1 + (index % 2);
            sent[qos].push(`${index}`);
            await pub.publishAsync(topic("inbox"), `${index}`, { qos });
        }
        const back = await connect(id("away"), persistent());
        assert.equal(back.connack.sessionPresent, true);
        await expectCount(back, 30);
        for (const qos of [1, 2]) {  // MQTT.js hands QoS 2 over at PUBREL: each has its own order
            const got = back.messages.filter(({ packet }) => packet.qos === qos);
            assert.deepEqual(got.map(({ payload }) => payload), sent[qos]);
        }
        await back.endAsync();
        const fresh = await connect(id("away"), { clean: true });
        assert.equal(fresh.connack.sessionPresent, false);
    },

    async unsubscribing_ends_the_flow() {
        const sub = await connect(id("sub"));
        await sub.subscribeAsync([topic("on"), topic("off")], { qos: 1 });
        await sub.unsubscribeAsync(topic("off"));
        const pub = await connect(id("pub"));
        await pub.publishAsync(topic("off"), "wrong", { qos: 1 });
        await pub.publishAsync(topic("on"), "fence", { qos: 1 });
        await expectCount(sub, 1);
        assert.deepEqual(payloads(sub), ["fence"]);
    },

    async keep_alive_keeps_a_connection() {
        const client = await connect(id("quiet"), { keepalive: 1 });
        await new Promise((resolve) => setTimeout(resolve, 3000)); // time is the subject
        assert.ok(client.connected);
        await client.publishAsync(topic("a"), "still here", { qos: 1 });
    },
};

const five = {
    async properties_pass_unchanged() {
        const sub = await connect(id("sub"));
        await sub.subscribeAsync(topic("a"), {
            qos: 1,
            properties: { subscriptionIdentifier: 42 },
        });
        const pub = await connect(id("pub"));
        const userProperties = Object.assign(Object.create(null), { k: ["1", "2"], ü: "ö" });
        await pub.publishAsync(topic("a"), "x", {
            qos: 1,
            properties: {
                payloadFormatIndicator: true,
                messageExpiryInterval: 600,
                contentType: "text/plain",
                responseTopic: "answers",
                correlationData: Buffer.from([0, 1, 2]),
                userProperties,
            },
        });
        await expectCount(sub, 1);
        const got = sub.messages[0].packet.properties;
        assert.equal(got.payloadFormatIndicator, true);
        assert.ok(got.messageExpiryInterval > 590 && got.messageExpiryInterval <= 600);
        assert.equal(got.contentType, "text/plain");
        assert.equal(got.responseTopic, "answers");
        assert.ok(got.correlationData.equals(Buffer.from([0, 1, 2])));
        assert.deepEqual({ ...got.userProperties }, { ...userProperties });
        assert.equal(got.subscriptionIdentifier, 42);
    },

    async no_local_keeps_ones_own_messages_away() {
        const self = await connect(id("self"));
        await self.subscribeAsync(topic("a"), { qos: 1, nl: true });
        await self.publishAsync(topic("a"), "own", { qos: 1 });
        const other = await connect(id("other"));
        await other.publishAsync(topic("a"), "fence", { qos: 1 });
        await expectCount(self, 1);
        assert.deepEqual(payloads(self), ["fence"]);
    },

    async retain_options_of_a_subscription() {
        const pub = await connect(id("pub"));
        await pub.publishAsync(topic("a"), "kept", { qos: 1, retain: true });
        const never = await connect(id("never"));
        await never.subscribeAsync(topic("a"), { qos: 1, rh: 2, rap: true });
        await pub.publishAsync(topic("a"), "live", { qos: 1, retain: true });
        await expectCount(never, 1);
        assert.deepEqual(payloads(never), ["live"]);
        assert.equal(never.messages[0].packet.retain, true);
    },

    async topic_aliases_that_mqttjs_makes() {
        const sub = await connect(id("sub"), { properties: { topicAliasMaximum: 10 } });
        const pub = await connect(id("pub"), { autoAssignTopicAlias: true });
        await sub.subscribeAsync(topic("#"), { qos: 1 });
        const sent = [];
        for (let index = 0; index < 60; ++index) {
            const level = `t${index % 6}`;
            sent.push([topic(level), `${index}`]);
            await pub.publishAsync(topic(level), `${index}`, { qos: 1 });
        }
        await expectCount(sub, sent.length);
        assert.deepEqual(sub.messages.map(({ topic, payload }) => [topic, payload]), sent);
    },

    async take_over_is_noticed() {
        const first = await connect(id("same"));
        await connect(id("same"));
        await eventually(() => first.isClosed, "the first one is closed");
        if (process.env.MITU_E2E_BROKER !== "mosquitto") {
            assert.equal(first.goodbye.reasonCode, 0x8e);
        }
    },

    async a_delayed_will() {
        const watcher = await connect(id("watcher"));
        await watcher.subscribeAsync(topic("will"), { qos: 1 });
        const will = {
            topic: topic("will"),
            payload: "lost",
            qos: 1,
            retain: false,
            properties: { willDelayInterval: 1, contentType: "text/plain" },
        };
        await drop(await connect(id("lost"), { will, properties: { sessionExpiryInterval: 60 } }));
        await expectCount(watcher, 1);
        assert.equal(watcher.messages[0].packet.properties.contentType, "text/plain");
    },

    async a_request_gets_its_response() {
        const responder = await connect(id("responder"));
        const asker = await connect(id("asker"));
        await responder.subscribeAsync(topic("requests"), { qos: 1 });
        await asker.subscribeAsync(topic("answers"), { qos: 1 });
        responder.on("message", (_, payload, { properties }) => {
            responder.publish(properties.responseTopic, payload.toString().toUpperCase(), {
                qos: 1,
                properties: { correlationData: properties.correlationData },
            });
        });
        await asker.publishAsync(topic("requests"), "question", {
            qos: 1,
            properties: { responseTopic: topic("answers"), correlationData: Buffer.from("7") },
        });
        await expectCount(asker, 1);
        assert.equal(asker.messages[0].payload, "QUESTION");
        assert.equal(asker.messages[0].packet.properties.correlationData.toString(), "7");
    },
};

const cases = version === 5 ? { ...both, ...five } : both;
if (name === "--list") {
    console.log(Object.keys(cases).join("\n"));
} else {
    try {
        await cases[name]();
    } catch (error) {
        console.error(error);
        process.exitCode = 1;
    }
    await closeAll();
}
