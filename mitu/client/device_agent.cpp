#include "mitu/client/device_agent.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace mitu::client {

namespace {

constexpr std::string_view id_placeholder = "{id}";

}  // namespace

DeviceAgent::DeviceAgent(ConnectOptions connect, std::shared_ptr<const AgentOptions> options,
                         std::string device_id, std::uint64_t seed)
    : session_{std::move(connect)},
      options_{std::move(options)},
      device_id_{std::move(device_id)},
      prng_{seed},
      telemetry_interval_{options_->telemetry_interval},
      heartbeat_interval_{options_->heartbeat_interval} {}

// --- the transport, handed through -------------------------------------------------------------

Result<void, Refusal> DeviceAgent::on_open(Instant now, AgentOutput& out) {
    if (!started_) {
        started_ = true;
        started_at_ = now;
    }
    return session_.on_open(now, out.transport);
}

void DeviceAgent::on_bytes(ByteView bytes, Instant now, AgentOutput& out) {
    const std::size_t from = out.transport.events.size();
    session_.on_bytes(bytes, now, out.transport);
    handle_session_events(from, now, out);
}

void DeviceAgent::on_close(AgentOutput& out) {
    const std::size_t from = out.transport.events.size();
    session_.on_close(out.transport);
    handle_session_events(from, Instant{}, out);
}

void DeviceAgent::disconnect(const DisconnectRequest& request, AgentOutput& out) {
    const std::size_t from = out.transport.events.size();
    session_.disconnect(request, out.transport);
    handle_session_events(from, Instant{}, out);
}

Instant DeviceAgent::next_deadline() const noexcept {
    return std::min({session_.next_deadline(), telemetry_due_, heartbeat_due_, policy_deadline_});
}

void DeviceAgent::on_deadline(Instant now, AgentOutput& out) {
    const std::size_t from = out.transport.events.size();
    session_.on_deadline(now, out.transport);
    handle_session_events(from, now, out);
    if (!session_.is_connected()) return;

    if (now >= heartbeat_due_) send_heartbeat(now, out);
    if (now >= telemetry_due_) {
        telemetry_due_ = now + jittered(telemetry_interval_);
        out.events.push_back({.kind = AgentEvent::Kind::telemetry_due});
    }
    if (now < policy_deadline_) return;
    policy_deadline_ = Instant::never();
    switch (phase_) {
        case PolicyPhase::applying:
            apply_pending(now, out);
            break;
        case PolicyPhase::waiting:
            ask_for_policy(now, out);
            break;
        case PolicyPhase::subscribing:
        case PolicyPhase::getting:
        case PolicyPhase::reporting:
            out.events.push_back({.kind = AgentEvent::Kind::policy_timeout});
            // The session that the server resumed may be another one than we know: one that was
            // made by a CONNECT whose CONNACK never came, and in which nothing is subscribed.
            is_subscribed_ = false;
            ask_later(now);
            break;
        case PolicyPhase::off:
        case PolicyPhase::settled:
        case PolicyPhase::refused:
            break;
    }
}

void DeviceAgent::handle_session_events(std::size_t from, Instant now, AgentOutput& out) {
    // By index and by copy: what is done here appends events, and the vector may move.
    for (std::size_t i = from; i < out.transport.events.size(); ++i) {
        const Event event = out.transport.events[i];
        if (const auto* connected = std::get_if<Connected>(&event)) {
            on_connected(connected->session_present, now, out);
        } else if (const auto* message = std::get_if<MessageReceived>(&event)) {
            on_message(message->publish, now, out);
        } else if (const auto* done = std::get_if<SubscribeDone>(&event)) {
            if (phase_ != PolicyPhase::subscribing || done->packet_id != subscribe_packet_id_) {
                continue;
            }
            if (done->has_error()) {
                phase_ = PolicyPhase::refused;
                policy_deadline_ = Instant::never();
                out.events.push_back({.kind = AgentEvent::Kind::policy_refused});
            } else {
                is_subscribed_ = true;
                get_policy(now, out);
            }
        } else if (std::holds_alternative<ConnectionEnded>(event)) {
            phase_ = PolicyPhase::off;
            pending_.reset();
            get_again_ = false;
            telemetry_due_ = heartbeat_due_ = policy_deadline_ = Instant::never();
        }
    }
}

void DeviceAgent::on_connected(bool session_present, Instant now, AgentOutput& out) {
    // The first of each comes anywhere within one interval, or a fleet would speak in chorus.
    const auto first = [&](Duration interval) {
        if (interval <= Duration{}) return Instant::never();
        return now + Duration::nanoseconds(static_cast<std::int64_t>(
                         prng_.below(static_cast<std::uint64_t>(interval.count_ns()))));
    };
    telemetry_due_ = first(telemetry_interval_);
    heartbeat_due_ = first(heartbeat_interval_);
    if (!session_present) is_subscribed_ = false;
    shadow_version_ = 0;
    if (!options_->holds_policy) return;
    policy_heard_at_ = now;
    report_backoff_.reset();
    ask_for_policy(now, out);
}

// --- telemetry and heartbeats ------------------------------------------------------------------

Result<void, Refusal> DeviceAgent::publish_telemetry(ByteView payload, mqtt::QoS qos,
                                                     std::uint64_t token, Instant now,
                                                     AgentOutput& out) {
    const std::string name = topic(options_->telemetry_topic);
    PublishRequest request;
    request.topic = name;
    request.payload = payload;
    request.qos = qos;
    request.token = token;
    return session_.publish(request, now, out.transport);
}

void DeviceAgent::send_heartbeat(Instant now, AgentOutput& out) {
    heartbeat_due_ = now + jittered(heartbeat_interval_);
    const std::string name = topic(options_->heartbeat_topic);
    const std::string payload =
        fmt::format(R"({{"seq":{},"uptime_s":{:.3f},"policy_revision":{}}})", ++heartbeat_count_,
                    (now - started_at_).as_seconds(), applied_revision_);
    PublishRequest request;
    request.topic = name;
    request.payload = as_bytes(payload);
    request.qos = options_->heartbeat_qos;
    if (session_.publish(request, now, out.transport)) {
        out.events.push_back({.kind = AgentEvent::Kind::heartbeat_sent});
    }
}

Duration DeviceAgent::jittered(Duration interval) noexcept {
    const std::int64_t spread_ns =
        interval.count_ns() / 10'000 * std::int64_t{std::min(options_->jitter_bp, 10'000U)};
    if (spread_ns <= 0) return interval;
    const auto drawn_ns =
        static_cast<std::int64_t>(prng_.below(2 * static_cast<std::uint64_t>(spread_ns) + 1));
    return interval + Duration::nanoseconds(drawn_ns - spread_ns);
}

std::string DeviceAgent::topic(std::string_view form) const {
    std::string name{form};
    for (std::size_t at = name.find(id_placeholder); at != std::string::npos;
         at = name.find(id_placeholder, at + device_id_.size())) {
        name.replace(at, id_placeholder.size(), device_id_);
    }
    return name;
}

std::string DeviceAgent::shadow_topic(std::string_view operation) const {
    std::string name = topic(options_->shadow_prefix);
    name += operation;
    return name;
}

std::string DeviceAgent::client_token() const {
    return fmt::format("{}-{}", device_id_, report_count_);
}

// --- the policy --------------------------------------------------------------------------------

bool DeviceAgent::is_settled() const noexcept {
    return !options_->holds_policy || phase_ == PolicyPhase::settled ||
           phase_ == PolicyPhase::refused;
}

void DeviceAgent::ask_for_policy(Instant now, AgentOutput& out) {
    if (is_subscribed_) {
        get_policy(now, out);
    } else {
        subscribe_shadow(now, out);
    }
}

void DeviceAgent::subscribe_shadow(Instant now, AgentOutput& out) {
    const std::array<std::string, 5> filters{
        shadow_topic("/get/accepted"), shadow_topic("/get/rejected"),
        shadow_topic("/update/accepted"), shadow_topic("/update/rejected"),
        shadow_topic("/update/delta")};
    std::array<Subscription, 5> subscriptions;
    for (std::size_t i = 0; i < filters.size(); ++i) {
        subscriptions[i].filter = filters[i];
        subscriptions[i].options.qos = mqtt::QoS::at_least_once;
    }
    SubscribeRequest request;
    request.subscriptions = subscriptions;
    const auto packet_id = session_.subscribe(request, now, out.transport);
    if (!packet_id) {
        ask_later(now);
        return;
    }
    subscribe_packet_id_ = *packet_id;
    phase_ = PolicyPhase::subscribing;
    policy_deadline_ = now + options_->shadow_timeout;
}

void DeviceAgent::get_policy(Instant now, AgentOutput& out) {
    get_again_ = false;
    pending_.reset();
    const std::string name = shadow_topic("/get");
    PublishRequest request;
    request.topic = name;
    request.qos = mqtt::QoS::at_least_once;
    if (!session_.publish(request, now, out.transport)) {
        ask_later(now);
        return;
    }
    phase_ = PolicyPhase::getting;
    policy_deadline_ = now + options_->shadow_timeout;
}

void DeviceAgent::ask_later(Instant now) {
    pending_.reset();
    phase_ = PolicyPhase::waiting;
    policy_deadline_ = now + ask_backoff_.next(prng_);
}

void DeviceAgent::settle(Instant now, AgentOutput& out) {
    pending_.reset();
    phase_ = PolicyPhase::settled;
    policy_deadline_ = Instant::never();
    ask_backoff_.reset();
    if (get_again_) get_policy(now, out);
}

void DeviceAgent::on_message(const mqtt::Publish& publish, Instant now, AgentOutput& out) {
    if (!options_->holds_policy) return;
    const std::string prefix = shadow_topic("/");
    if (!publish.topic.starts_with(prefix)) return;
    const std::string_view operation = publish.topic.substr(prefix.size());
    const std::string_view payload = as_text(publish.payload);
    if (operation == "get/accepted") {
        on_get_accepted(payload, now, out);
    } else if (operation == "get/rejected") {
        if (phase_ == PolicyPhase::getting) on_rejected(payload, now, out);
    } else if (operation == "update/accepted") {
        on_update_accepted(payload, now, out);
    } else if (operation == "update/rejected") {
        if (phase_ == PolicyPhase::reporting) on_rejected(payload, now, out);
    } else if (operation == "update/delta") {
        on_delta(payload, now, out);
    }
}

void DeviceAgent::on_get_accepted(std::string_view payload, Instant now, AgentOutput& out) {
    if (phase_ != PolicyPhase::getting) return;
    auto document = read_policy_document(payload);
    if (!document) {
        out.events.push_back(
            {.kind = AgentEvent::Kind::policy_malformed, .text = document.error()});
        ask_later(now);
        return;
    }
    if (document->version < shadow_version_) {
        // An answer from before the last delta is not what is desired now.
        get_policy(now, out);
        return;
    }
    shadow_version_ = document->version;
    if (!document->has_desired) {
        out.events.push_back({.kind = AgentEvent::Kind::policy_none});
        settle(now, out);
        return;
    }
    pending_ = std::make_unique<PolicyDocument>(std::move(*document));
    phase_ = PolicyPhase::applying;
    Duration wait;
    if (!runs(*pending_)) {
        wait = options_->apply_time;
        report_backoff_.reset();
    } else if (!pending_->in_step && report_backoff_.attempts() > 0) {
        // It was reported on this connection and the server still sees a difference; two sides that
        // disagree must not talk each other into a storm.
        wait = report_backoff_.next(prng_);
    }
    if (wait <= Duration{}) {
        apply_pending(now, out);
    } else {
        policy_deadline_ = now + jittered(wait);
    }
}

bool DeviceAgent::runs(const PolicyDocument& policy) const noexcept {
    return policy.revision == applied_revision_ && policy.settings == applied_settings_;
}

void DeviceAgent::apply_pending(Instant now, AgentOutput& out) {
    if (!runs(*pending_)) {
        applied_revision_ = pending_->revision;
        applied_settings_ = pending_->settings;
        if (options_->settings_set_intervals) {
            const auto adopt = [&](Duration& interval, Instant& due, Duration wanted) {
                if (interval == wanted) return;
                interval = wanted;
                due = wanted > Duration{} ? now + jittered(wanted) : Instant::never();
            };
            adopt(telemetry_interval_, telemetry_due_,
                  pending_->intervals.telemetry.value_or(options_->telemetry_interval));
            adopt(heartbeat_interval_, heartbeat_due_,
                  pending_->intervals.heartbeat.value_or(options_->heartbeat_interval));
        }
        out.events.push_back(
            {.kind = AgentEvent::Kind::policy_applied, .revision = applied_revision_});
    }
    if (pending_->in_step) {
        settle(now, out);
        return;
    }

    ++report_count_;
    if (report_backoff_.attempts() == 0) (void)report_backoff_.next(prng_);
    const std::string name = shadow_topic("/update");
    const std::string payload = write_report(pending_->reported, client_token());
    PublishRequest request;
    request.topic = name;
    request.payload = as_bytes(payload);
    request.qos = mqtt::QoS::at_least_once;
    if (!session_.publish(request, now, out.transport)) {
        ask_later(now);
        return;
    }
    phase_ = PolicyPhase::reporting;
    policy_deadline_ = now + options_->shadow_timeout;
}

void DeviceAgent::on_update_accepted(std::string_view payload, Instant now, AgentOutput& out) {
    const auto answer = read_shadow_answer(payload);
    if (!answer) return;
    shadow_version_ = std::max(shadow_version_, answer->version);
    // Others may update this shadow too; theirs is not the answer to our report.
    if (phase_ != PolicyPhase::reporting || answer->client_token != client_token()) return;
    out.events.push_back({.kind = AgentEvent::Kind::policy_reported,
                          .revision = applied_revision_,
                          .took = now - policy_heard_at_});
    settle(now, out);
}

void DeviceAgent::on_rejected(std::string_view payload, Instant now, AgentOutput& out) {
    constexpr std::int64_t code_not_found = 404;
    const auto answer = read_shadow_answer(payload);
    if (answer && answer->code == code_not_found && phase_ == PolicyPhase::getting) {
        out.events.push_back({.kind = AgentEvent::Kind::policy_none});
        settle(now, out);
        return;
    }
    AgentEvent event{.kind = AgentEvent::Kind::policy_rejected};
    if (answer) {
        event.code = answer->code;
        event.text = answer->message;
    }
    out.events.push_back(std::move(event));
    ask_later(now);
}

void DeviceAgent::on_delta(std::string_view payload, Instant now, AgentOutput& out) {
    const auto version = read_delta_version(payload);
    if (!version || *version <= shadow_version_) return;  // old news, delivered late
    shadow_version_ = *version;
    switch (phase_) {
        case PolicyPhase::settled:
            policy_heard_at_ = now;
            get_policy(now, out);
            break;
        case PolicyPhase::getting:
        case PolicyPhase::applying:
        case PolicyPhase::reporting:
            get_again_ = true;
            break;
        case PolicyPhase::off:
        case PolicyPhase::subscribing:
        case PolicyPhase::waiting:
        case PolicyPhase::refused:
            break;  // the document is asked for anyway, or cannot be
    }
}

}  // namespace mitu::client
