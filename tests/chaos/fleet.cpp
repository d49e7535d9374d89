#include "tests/chaos/fleet.hpp"

namespace mitu::chaos {

using broker::testing::qos1;
using broker::testing::qos2;

Fleet::Fleet(broker::testing::World& world, std::size_t pairs) : world_{world} {
    for (std::size_t i = 0; i < pairs; ++i) {
        const std::string number = std::to_string(i);
        Pair pair;
        pair.from = &world.client("from-" + number);
        pair.to = &world.client("to-" + number);
        pair.topic = "pairs/of/" + number;
        pairs_.push_back(pair);
    }
}

void Fleet::make_ready() {
    for (Pair& pair : pairs_) {
        if (!pair.from->is_connected()) {
            pair.from->connect({.session_expiry_s = 60, .topic_alias_maximum = 4});
        }
        if (!pair.to->is_connected()) {
            pair.to->connect({.topic_alias_maximum = 4,
                              .will = broker::testing::WillOptions{.topic = "wills/" + pair.topic,
                                                                   .payload = "gone"}});
            if (pair.to->is_connected()) {
                pair.to->subscribe(pair.topic, {.qos = qos1, .identifier = 7});
            }
            if (pair.to->is_connected()) pair.to->subscribe("$share/all/wills/#", {.qos = qos2});
        }
    }
    for (Pair& pair : pairs_) {
        static_cast<void>(pair.to->take_messages());
        static_cast<void>(pair.from->take_messages());
    }
}

void Fleet::talk(const std::function<void()>& step) {
    ++round_;
    for (Pair& pair : pairs_) {
        pair.was_whole = pair.from->is_connected() && pair.to->is_connected();
    }
    for (int i = 0; i < messages_per_round; ++i) {
        for (const Pair& pair : pairs_) {
            if (!pair.was_whole || !pair.from->is_connected()) continue;
            pair.from->publish_later(pair.topic, std::to_string(i), {.qos = qos1});
        }
    }
    while (world_.run_some(1)) step();
    for (const Pair& pair : pairs_) {
        if (!pair.was_whole || !pair.from->is_connected() || !pair.to->is_connected()) continue;
        int next = 0;
        bool is_right = true;
        for (const auto& message : pair.to->take_messages()) {
            if (message.topic != pair.topic) continue;  // a will
            is_right = is_right && message.payload == std::to_string(next);
            ++next;
        }
        if (!is_right || next != messages_per_round) {
            losses_.push_back(pair.topic + " in round " + std::to_string(round_) + ": heard " +
                              std::to_string(next) + (is_right ? "" : ", out of order"));
        }
        heard_total_ += static_cast<std::uint64_t>(next);
    }
}

void Fleet::leave() {
    for (const Pair& pair : pairs_) {
        for (auto* client : {pair.from, pair.to}) {
            if (client->is_connected()) {
                client->disconnect(mqtt::ReasonCode::success, std::uint32_t{0});
            }
        }
    }
}

}  // namespace mitu::chaos
