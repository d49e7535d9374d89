// What the clients of a crash run see, and what must have come in the end.

#include <algorithm>

#include "mitu/base/hash.hpp"
#include "mitu/journal/testing/crash_run.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::journal::testing {

using mqtt::QoS;
using State = KnownFilter::State;

bool CrashRun::has_reason(const Device& device) const noexcept {
    return device.reads && device.socket && !device.socket->reset_by_client &&
           !device.socket->closed_by_client && !device.socket->to_client.empty();
}

void CrashRun::react(std::size_t index) {
    Device& device = *devices_[index];
    const Bytes bytes = std::exchange(device.socket->to_client, {});
    counts_.digest = hash_bytes(as_text(bytes), counts_.digest + index);
    device.peer->on_bytes(bytes);
    for (const auto& packet : device.peer->take_packets()) {
        if (const auto* p = packet.as<mqtt::Connack>()) on_connack(device, *p);
        if (const auto* p = packet.as<mqtt::Suback>()) {
            const auto it = device.subscribing.find(p->packet_id);
            if (it == device.subscribing.end()) continue;
            bool is_taken = true;
            for (const auto reason : p->reasons) is_taken = reason < 0x80;
            KnownFilter& known = device.known[it->second];
            // An UNSUBSCRIBE that is on its way comes behind it.
            const bool goes = std::ranges::any_of(device.unsubscribing, [&](const auto& other) {
                return other.second == it->second;
            });
            if (is_taken && !goes && known.state != State::yes) {
                known.state = State::yes;
                known.since = ++serial_;
            }
            device.subscribing.erase(it);
        }
        if (const auto* p = packet.as<mqtt::Unsuback>()) {
            const auto it = device.unsubscribing.find(p->packet_id);
            if (it == device.unsubscribing.end()) continue;
            device.known[it->second].state = State::maybe;
            device.unsubscribing.erase(it);
        }
    }
    for (const auto& message : device.peer->take_messages()) on_message(index, message);
    settle_publishes(index);
}

void CrashRun::on_connack(Device& device, const mqtt::Connack& connack) {
    if (mqtt::is_error(connack.reason)) {
        device.socket->closed_by_client = true;
        return;
    }
    device.is_in = true;
    if (device.starts_clean && connack.session_present) {
        fail(device.id + ": a session is there after a clean start");
    }
    if (!device.starts_clean) {
        const std::int64_t away_ms = clock_.wall().unix_ms - device.left_ms;
        const std::int64_t expiry_ms = std::int64_t{device.expiry_s} * 1'000;
        const bool must = device.must_be_there && away_ms < expiry_ms - 1'000;
        if (must && !connack.session_present && !may_lose_) {
            fail(device.id + ": its session is not there");
        }
        if (connack.session_present) {
            ++counts_.resumed;
        } else {
            device.publishing.clear();
            end_session(device);
        }
    }
    device.is_uncertain = false;
    device.must_be_there = device.expiry_s != 0;
    // Its last connection is gone, and that is on the disk.
    if (!device.will_before.empty()) {
        wills_owed_.emplace(std::exchange(device.will_before, {}), device.will_before_since);
    }
    if (device.has_will && !may_lose_) {
        device.will_start = counts_.starts;
        device.will_since = ++serial_;
        device.will_owed = device.id + "#" + std::to_string(device.wills);
    }
}

void CrashRun::on_message(std::size_t index, const broker::testing::Message& message) {
    Device& device = *devices_[index];
    if (message.topic.starts_with("will/")) {
        const bool is_first = will_received_.insert(message.payload).second;
        if (!is_first && message.qos == QoS::exactly_once && !may_lose_) {
            fail(device.id + " has the will " + message.payload + " a second time");
        }
        return;
    }
    if (message.retain || message.payload.empty()) return;
    const auto it = by_payload_.find(message.payload);
    if (it == by_payload_.end()) return fail(device.id + " is sent what nobody has published");
    const Sent& sent = sent_[it->second];
    if (sent.topic != message.topic) fail(device.id + ": a message has another's topic");
    ++counts_.delivered;
    const bool is_exact = message.qos == QoS::exactly_once && sent.qos == QoS::exactly_once;
    const std::string name = std::to_string(sent.number) + " of " + sent.topic;
    if (!device.group.empty()) {
        const bool is_first = group_received_[device.group].insert(message.payload).second;
        if (!is_first && is_exact && !may_lose_)
            fail(device.id + " has " + name + " a second time");
        return;
    }
    if (!device.received.insert(message.payload).second) {
        if (is_exact && !may_lose_) fail(device.id + " has " + name + " a second time");
        return;
    }
    std::uint64_t& last = device.last[{sent.topic, static_cast<int>(message.qos)}];
    if (sent.number < last && !may_lose_) {
        fail(device.id + " has " + name + " behind " + std::to_string(last));
    }
    last = std::max(last, sent.number);
}

void CrashRun::settle_publishes(std::size_t index) {
    Device& device = *devices_[index];
    for (auto it = device.publishing.begin(); it != device.publishing.end();) {
        const auto outcome = device.peer->outcome(it->first);
        if (outcome && !mqtt::is_error(*outcome)) confirm(it->second);
        it = outcome ? device.publishing.erase(it) : std::next(it);
    }
}

void CrashRun::confirm(std::size_t message) {
    Sent& sent = sent_[message];
    sent.is_confirmed = true;
    ++counts_.confirmed;
    if (may_drop_ || may_lose_) return;
    for (const Entitled& each : sent.entitled) {
        Device& device = *devices_[each.device];
        if (device.incarnation != each.incarnation) continue;
        const auto known = device.known.find(each.filter);
        if (known == device.known.end() || known->second.state != State::yes ||
            known->second.since != each.since) {
            continue;
        }
        owed_.push_back({message, each.device, each.incarnation});
        ++counts_.owed;
    }
    for (const std::string& group : sent.groups) {
        group_owed_.insert(group + " " + sent.payload);
        ++counts_.owed;
    }
}

// --- at the end ---

void CrashRun::drain() {
    end_of_breaking();
    store_.make_well();
    static_cast<void>(store_.disk().take_frozen());
    if (random_.chance(0.5)) crash(options_.loses_power && random_.chance(0.5));
    advance(Duration::seconds(2));
    for (int round = 0; round < 3; ++round) {
        for (auto& device : devices_) {
            if (device->has_will) {  // it is not heard of any more
                if (device->is_open()) device->socket->reset_by_client = true;
                continue;
            }
            if (!device->may_talk()) connect(*device, false);
            device->reads = true;
            device->socket->window_bytes = std::size_t{1} << 40;
            device->peer->release_acks();
        }
        run_all();
        advance(Duration::seconds(20));
    }
    counts_.rebuilt += server_->counted(&broker::Counters::sessions_rebuilt_total);
    check_owed();
    check_retained();
    check_rows();
}

void CrashRun::check_owed() {
    for (const Owed& owed : owed_) {
        const Device& device = *devices_[owed.device];
        if (device.incarnation != owed.incarnation) continue;
        const Sent& sent = sent_[owed.message];
        if (device.received.contains(sent.payload)) continue;
        fail(device.id + " never got " + std::to_string(sent.number) + " of " + sent.topic +
             ", acknowledged to " + devices_[sent.publisher]->id);
    }
    for (const std::string& owed : group_owed_) {
        const std::size_t space = owed.find(' ');
        if (group_received_[owed.substr(0, space)].contains(owed.substr(space + 1))) continue;
        fail("nobody of group " + owed.substr(0, owed.find('|')) + " ever got it");
    }
    const Device& watcher = *std::ranges::find(devices_, "watcher", [](const auto& device) {
                                 return device->id;
                             })->get();
    const auto known = watcher.known.find("will/#");
    const bool watches = known != watcher.known.end() && known->second.state == State::yes;
    for (const auto& device : devices_) {
        if (!device->will_owed.empty()) wills_owed_.emplace(device->will_owed, device->will_since);
    }
    for (const auto& [payload, since] : wills_owed_) {
        if (!watches || known->second.since > since || may_drop_) continue;
        ++counts_.wills_owed;
        if (!will_received_.contains(payload)) {
            fail("the will " + payload + " was never published");
        }
    }
}

/// What is retained is the last that was acknowledged, or something that was sent after it.
void CrashRun::check_retained() {
    devices_.push_back(std::make_unique<Device>());
    Device& checker = *devices_.back();
    checker.id = "checker";
    checker.expiry_s = 0;
    connect(checker, true);
    checker.peer->acknowledges = true;
    std::map<std::string, std::string> found;
    checker.peer->seen = [&found](const broker::testing::SeenPacket& packet) {
        if (const auto* p = packet.as<mqtt::Publish>(); p != nullptr && p->retain) {
            found[std::string{p->topic}] = to_text(p->payload);
        }
    };
    run_all();
    if (!checker.is_in) return fail("nobody comes in any more");
    checker.peer->subscribe("r/#", {.qos = QoS::at_least_once});
    run_all();
    advance(Duration::seconds(1));
    checker.peer->seen = nullptr;
    if (may_lose_) return;
    for (const auto& [topic, messages] : retained_) {
        std::set<std::string> allowed;
        bool is_settled = false;
        for (std::size_t i = messages.size(); i-- != 0 && !is_settled;) {
            allowed.insert(sent_[messages[i]].payload);
            is_settled = sent_[messages[i]].is_confirmed;
        }
        if (!is_settled) allowed.insert("");
        if (!allowed.contains(found[topic])) {
            fail("retained on " + topic + " is " +
                 (found[topic].empty() ? "nothing"
                                       : found[topic].substr(0, found[topic].find('|'))) +
                 ", which was replaced before");
        }
    }
}

void CrashRun::check_rows() {
    using store::Family;
    for (const Family family : {Family::queue, Family::flight, Family::messages, Family::references,
                                Family::released, Family::discards, Family::wills}) {
        if (const std::uint64_t rows = store_.rows(family); rows != 0) {
            fail(std::to_string(rows) + " rows of " + std::string{store::to_text(family)} +
                 " are left over");
        }
    }
    if (const std::uint64_t rows = store_.rows(Family::inbound); rows != 0 && !may_lose_) {
        fail(std::to_string(rows) + " rows of inbound are left over");
    }
    for (const Family family : {Family::subscriptions, Family::wills}) {
        for (const std::string& row : store_.rows_without_session(family)) {
            fail("a row of " + std::string{store::to_text(family)} + " without a session: " + row);
        }
    }
    const auto checked = store_.check();
    if (!checked) return fail("the store cannot be checked: " + checked.error().detail);
    for (const store::Finding& finding : checked->findings) fail("the store: " + finding.what);
}

}  // namespace mitu::journal::testing
