#include "sim/device_actor.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mitu/base/bytes.hpp"

namespace mitu::sim {
namespace {

client::ConnectOptions connect_options(const ActorPlan& plan, Prng prng) {
    client::ConnectOptions options;
    options.client_id = plan.client_id;
    options.user_name = plan.client_id + "@" + plan.tenant;
    const ByteView password = as_bytes(plan.client_id);
    options.password = Bytes(password.begin(), password.end());
    options.keep_alive_s = static_cast<std::uint16_t>(5 + prng.below(60));
    options.receive_maximum = static_cast<std::uint16_t>(1 + prng.below(20));
    if (prng.chance(0.5)) options.session_expiry_interval_s = 3'600;
    if (prng.chance(0.3)) {
        options.version = mqtt::ProtocolVersion::v3_1_1;
        options.clean_start = prng.chance(0.5);
    }
    return options;
}

std::shared_ptr<const client::AgentOptions> agent_options(Prng prng) {
    auto options = std::make_shared<client::AgentOptions>();
    options->telemetry_topic = "fleet/{id}/telemetry";
    options->heartbeat_topic = "fleet/{id}/heartbeat";
    options->heartbeat_interval = Duration::seconds(static_cast<std::int64_t>(10 + prng.below(30)));
    options->telemetry_interval = Duration::seconds(static_cast<std::int64_t>(20 + prng.below(60)));
    options->apply_time = Duration::milliseconds(static_cast<std::int64_t>(prng.below(3'000)));
    return options;
}

}  // namespace

DeviceActor::DeviceActor(World& world, Model& model, const ActorPlan& plan)
    : world_{world},
      model_{model},
      plan_{plan},
      prng_{plan.seed ^ 0xDE71CE},
      agent_{connect_options(plan, prng_.split()), agent_options(prng_.split()), plan.client_id,
             prng_.next()} {
    connect_later();
}

DeviceActor::~DeviceActor() {
    if (link_) link_->forget(Link::Farewell::silent);
}

void DeviceActor::connect() {
    if (is_open() || is_leaving_) return;
    link_ = world_.connect(plan_.client_id, *this, plan_.link, prng_.split(),
                           address_of({plan_.tenant, plan_.client_id}));
    if (!agent_.on_open(world_.now(), out_)) {
        world_.report("device_agent", plan_.client_id + ": cannot open");
    }
    act();
}

void DeviceActor::connect_later() {
    if (connect_is_due_ || is_leaving_) return;
    connect_is_due_ = true;
    world_.timeline().at(world_.now() + backoff_.next(prng_), [this] {
        connect_is_due_ = false;
        connect();
    });
}

void DeviceActor::act() {
    if (link_ && !out_.transport.bytes.empty()) link_->send(out_.transport.bytes);
    const bool closes = out_.transport.close;
    for (const auto& event : out_.transport.events) {
        if (std::holds_alternative<client::Connected>(event)) {
            backoff_.reset();
            lacks_memory_ = false;
        }
        if (const auto* const done = std::get_if<client::SubscribeDone>(&event)) {
            on_subscribed(*done);
        }
    }
    const auto events = std::move(out_.events);
    out_.clear();
    for (const auto& event : events) on_event(event);
    if (closes && link_) {
        link_->close();
        connect_later();
    }
    if (telemetry_is_due_) publish_telemetry();
    wake_later();
}

/// 3.1.1 has one word for all refusals.
void DeviceActor::on_subscribed(const client::SubscribeDone& done) {
    if (!world_.sessions_may_lack_memory() &&
        !world_.authority().was_ever_short_of_subscriptions(plan_.tenant)) {
        return;
    }
    const bool is_v5 = agent_.session().options().version == mqtt::ProtocolVersion::v5;
    const auto expected =
        is_v5 ? mqtt::ReasonCode::quota_exceeded : mqtt::ReasonCode::unspecified_error;
    lacks_memory_ = done.has_error() && std::ranges::all_of(done.reasons, [&](std::uint8_t reason) {
                        return reason < 0x80 || mqtt::ReasonCode{reason} == expected;
                    });
}

void DeviceActor::on_event(const client::AgentEvent& event) {
    using Kind = client::AgentEvent::Kind;
    if (event.kind == Kind::telemetry_due) telemetry_is_due_ = true;
    const bool is_refused = event.kind == Kind::policy_refused && !lacks_memory_;
    if (event.kind == Kind::policy_malformed || is_refused) {
        world_.report("device_gets_its_policy", plan_.client_id + ": " + event.text);
    }
    if (event.kind != Kind::policy_applied) return;
    if (event.revision < revision_) {
        world_.report("policy_revision_never_goes_back",
                      fmt::format("{}/{} runs revision {} after {}", plan_.tenant, plan_.client_id,
                                  event.revision, revision_));
    }
    revision_ = event.revision;
}

void DeviceActor::publish_telemetry() {
    telemetry_is_due_ = false;
    if (!agent_.session().is_connected() || is_healed_) return;
    MessageRecord record;
    record.publisher = {plan_.tenant, plan_.client_id};
    record.topic = fmt::format("fleet/{}/telemetry", plan_.client_id);
    record.qos = mqtt::QoS::at_least_once;
    const MessageNumber number = model_.add_message(std::move(record)).number;
    const std::string payload = Model::marker(number);
    model_.message(number)->size_bytes = static_cast<std::uint32_t>(payload.size());
    // Without room in the outbox the reading is skipped, as a device would.
    const auto taken = agent_.publish_telemetry(as_bytes(payload), mqtt::QoS::at_least_once, number,
                                                world_.now(), out_);
    static_cast<void>(taken);
    act();
}

void DeviceActor::wake_later() {
    const Instant next = agent_.next_deadline();
    if (next.is_never() || next >= wake_at_) return;
    wake_at_ = next;
    world_.timeline().at(std::max(next, world_.now()), [this, next] {
        if (wake_at_ != next) return;
        wake_at_ = Instant::never();
        agent_.on_deadline(world_.now(), out_);
        act();
    });
}

void DeviceActor::on_bytes(ByteView bytes) {
    agent_.on_bytes(bytes, world_.now(), out_);
    act();
}

void DeviceActor::on_closed() {
    agent_.on_close(out_);
    act();
    connect_later();
}

void DeviceActor::perform(const Action& action) {
    if (!link_) return;
    switch (action.act) {
        case Act::reset:
        case Act::close:
            if (!is_open()) break;
            action.act == Act::reset ? link_->reset() : link_->close();
            on_closed();
            break;
        case Act::cut_up:
            link_->cut_up(true);
            break;
        case Act::cut_down:
            link_->cut_down(true);
            break;
        case Act::mend:
            link_->mend();
            break;
        case Act::slow:
            link_->set_window(static_cast<std::size_t>(1 + prng_.below(200)));
            break;
        case Act::fast:
            link_->set_window(std::size_t{1} << 20);
            break;
        default:
            break;
    }
}

void DeviceActor::heal() {
    is_healed_ = true;
    plan_.link = calm_link;
    if (!link_) return;
    link_->calm();
    if (lacks_memory_ && is_open()) {  // it asks again when it connects again
        link_->reset();
        on_closed();
    }
    if (!is_open()) connect_later();
}

bool DeviceActor::is_settled() const {
    return agent_.session().is_connected() && agent_.is_settled() &&
           agent_.session().unacknowledged_count() == 0;
}

void DeviceActor::leave() {
    is_leaving_ = true;
    if (!is_open()) return;
    // The session ends with the connection: nothing may be left of it at the server.
    client::DisconnectRequest request;
    if (agent_.session().options().session_expiry_interval_s != 0) {
        request.session_expiry_interval_s = 0;
    }
    agent_.disconnect(request, out_);
    link_->send(out_.transport.bytes);
    out_.clear();
    link_->close();
}

void DeviceActor::check_at_end() {
    if (is_settled()) {
        // The server believes what a device reports; what it runs is seen only here.
        const auto device = world_.catalog().find_login(plan_.client_id + "@" + plan_.tenant);
        // Versions of shadows begin anew with a server, and sessions do not: an answer that waited
        // in the store may look newer than what the server says now.
        if (world_.keeping().keeps(plan_.tenant) && model_.server_number() > 2) return;
        const std::int64_t wanted = device ? world_.catalog().policy_for(*device)->revision : 0;
        if (revision_ != wanted &&
            !world_.authority().was_ever_short_of_subscriptions(plan_.tenant)) {
            world_.report("device_gets_its_policy",
                          fmt::format("{}/{} runs revision {}, not {}", plan_.tenant,
                                      plan_.client_id, revision_, wanted));
        }
        return;
    }
    // A shard without memory drops what the server itself has to say, and counts it.
    if (world_.server().dropped(broker::DropReason::no_memory) != 0) return;
    if (world_.is_short_of_memory(plan_.tenant)) return;
    if (world_.authority().was_ever_short_of_subscriptions(plan_.tenant)) return;
    world_.report(
        "device_gets_its_policy",
        fmt::format("{}/{}: {}, {}, {} publishes without answer", plan_.tenant, plan_.client_id,
                    agent_.session().is_connected() ? "connected" : "not connected",
                    agent_.is_settled() ? "settled" : "not settled",
                    agent_.session().unacknowledged_count()));
}

}  // namespace mitu::sim
