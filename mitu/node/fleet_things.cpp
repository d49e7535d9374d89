#include "mitu/node/fleet_things.hpp"

namespace mitu::node {

FleetThings::FleetThings(std::shared_ptr<const fleet::Catalog> catalog, const ports::Clock& clock,
                         fleet::ShardStatus& status)
    : catalog_{std::move(catalog)}, clock_{clock}, status_{status} {}

std::uint32_t FleetThings::find_or_add(const fleet::Device& device) {
    const auto [it, is_new] =
        by_device_.try_emplace(device.index, static_cast<std::uint32_t>(things_.size()));
    if (is_new) {
        const auto& policy = catalog_->policy_for(device);
        things_.push_back(Thing{fleet::DeviceShadow{policy->desired, clock_.wall()},
                                {},
                                device.index,
                                device.group,
                                policy->heartbeat ? policy->heartbeat->timeout : Duration{}});
    }
    return it->second;
}

FleetThings::Cookie FleetThings::on_attached(TenantId tenant, std::string_view client_id,
                                             Instant now,
                                             std::vector<broker::ServerPublish>& publishes) {
    const auto device = catalog_->find(tenant, client_id);
    if (!device) {
        status_.at(catalog_->group_for_anonymous()).online.add();
        return anonymous;
    }
    const std::uint32_t index = find_or_add(*device);
    Thing& thing = things_[index];
    auto& row = status_.at(thing.group);
    if (!thing.seen) {
        thing.seen = true;
        row.seen.add();
    }
    if (!thing.online) {
        thing.online = true;
        row.online.add();
    }
    note_change(thing, thing.heartbeat.on_heard(now));
    note_drift(thing);
    arm(index);
    publish(*device, thing.shadow.on_connected(clock_.wall()), publishes);
    return index + 1;
}

void FleetThings::on_detached(Cookie cookie, bool said_goodbye, Instant now) {
    static_cast<void>(now);
    if (cookie == anonymous) {
        status_.at(catalog_->group_for_anonymous()).online.subtract();
        return;
    }
    Thing& thing = things_[cookie - 1];
    if (!thing.online) return;
    thing.online = false;
    status_.at(thing.group).online.subtract();
    thing.heartbeat.on_goodbye(said_goodbye);
}

void FleetThings::on_heard(Cookie cookie, Instant now) {
    if (cookie == anonymous) return;
    Thing& thing = things_[cookie - 1];
    const auto change = thing.heartbeat.on_heard(now);
    if (change == fleet::Heartbeat::Change::none) return;
    note_change(thing, change);
    arm(cookie - 1);
}

void FleetThings::on_publish(TenantId tenant, std::string_view device_id, std::string_view rest,
                             ByteView payload, Instant now,
                             std::vector<broker::ServerPublish>& publishes) {
    static_cast<void>(now);
    constexpr std::string_view prefix = "shadow/name/mitu-policy/";
    if (!rest.starts_with(prefix)) return;
    const auto device = catalog_->find(tenant, device_id);
    if (!device) return;
    Thing& thing = things_[find_or_add(*device)];
    publish(*device,
            thing.shadow.on_request(rest.substr(prefix.size()), as_text(payload), clock_.wall()),
            publishes);
    note_drift(thing);
}

void FleetThings::on_deadline(Instant now) {
    while (const auto note = timers_.take_due(now)) {
        Thing& thing = things_[note->index];
        if (thing.timer_at != note->at) continue;
        thing.timer_at = Instant::never();
        note_change(thing, thing.heartbeat.on_deadline(now, thing.heartbeat_timeout));
        arm(note->index);
    }
}

void FleetThings::arm(std::uint32_t index) {
    Thing& thing = things_[index];
    const Instant at = thing.heartbeat.next_deadline(thing.heartbeat_timeout);
    if (at >= thing.timer_at) return;
    thing.timer_at = at;
    timers_.add({at, broker::TimerQueue::Kind::session, index, 0});
}

void FleetThings::note_change(Thing& thing, fleet::Heartbeat::Change change) {
    auto& row = status_.at(thing.group);
    if (change == fleet::Heartbeat::Change::missed) row.heartbeat_missed.add();
    if (change == fleet::Heartbeat::Change::recovered) row.heartbeat_missed.subtract();
}

void FleetThings::note_drift(Thing& thing) {
    const bool drifted = thing.seen && thing.shadow.drifted();
    if (drifted == thing.counted_drifted) return;
    thing.counted_drifted = drifted;
    auto& row = status_.at(thing.group);
    drifted ? row.drifted.add() : row.drifted.subtract();
}

void FleetThings::publish(const fleet::Device& device, fleet::ShadowMessages messages,
                          std::vector<broker::ServerPublish>& publishes) {
    for (auto& message : messages) {
        broker::ServerPublish publish;
        publish.tenant = device.tenant;
        publish.topic = fleet::shadow_topic(device.id, message.suffix);
        publish.payload = std::move(message.payload);
        publishes.push_back(std::move(publish));
    }
}

}  // namespace mitu::node
