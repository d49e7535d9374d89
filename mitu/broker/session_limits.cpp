// What a session may not do, or not yet: its own bounds, and its part of the tenant's.

#include <algorithm>

#include "mitu/broker/session.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::broker {

using admission::Bound;
using admission::Limit;
using admission::Quota;
using admission::Scope;
using mqtt::ReasonCode;

std::string_view to_text(RefusalKind kind) noexcept {
    switch (kind) {
        case RefusalKind::message_dropped:
            return "message_dropped";
        case RefusalKind::publish_refused:
            return "publish_refused";
        case RefusalKind::subscription_refused:
            return "subscription_refused";
        case RefusalKind::slowed_down:
            return "slowed_down";
    }
    return "unknown";
}

namespace {

/// The client's own bound behind a drop, if it is one.
std::optional<Bound> bound_of(DropReason reason) noexcept {
    switch (reason) {
        case DropReason::queue_full:
        case DropReason::evicted_qos0:
            return Bound{Limit::queue, Scope::client};
        case DropReason::payload_too_large:
            return Bound{Limit::payload_bytes, Scope::client};
        case DropReason::too_large_for_client:
            return Bound{Limit::packet_bytes, Scope::client};
        case DropReason::memory_pressure:
            return Bound{Limit::memory, Scope::server};
        default:
            return std::nullopt;
    }
}

std::uint32_t levels_of(std::string_view topic) noexcept {
    return 1 + static_cast<std::uint32_t>(std::count(topic.begin(), topic.end(), '/'));
}

std::uint32_t wildcards_of(std::string_view filter) noexcept {
    return static_cast<std::uint32_t>(
        std::count_if(filter.begin(), filter.end(), [](char c) { return c == '+' || c == '#'; }));
}

}  // namespace

// --- what was refused ---

Losses* Session::try_use_losses() {
    if (losses_ == nullptr) {
        if (void* const room = memory().try_allocate(sizeof(Losses))) {
            losses_ = ::new (room) Losses{};
        }
    }
    return losses_;
}

void Session::count_drop(DropReason reason, std::uint64_t n, MessageHandle which,
                         std::string_view topic) {
    if (n == 0) return;
    if (is_traced()) [[unlikely]]
        trace_drop(reason, n, which, topic);
    // Without memory for it the shard's own count has to do.
    if (Losses* const losses = try_use_losses()) {
        losses->drops[static_cast<std::size_t>(reason)] += n;
        const auto bound = bound_of(reason);
        losses->last.note({RefusalKind::message_dropped, reason, bound.has_value()},
                          bound.value_or(Bound{}), context_.now);
    }
    context_.counters.drop(reason, n);
    if (const auto bound = bound_of(reason)) context_.counters.refuse(*bound);
    if (context_.ledger != nullptr) {
        const memory::ZonePause pause;
        context_.ledger->tenant(tenant_).count_dropped(n);
    }
}

void Session::note_refusal(RefusalKind kind, std::optional<Bound> bound) {
    if (is_traced()) [[unlikely]]
        trace_refusal(kind, bound);
    if (Losses* const losses = try_use_losses()) {
        losses->last.note({kind, DropReason{}, bound.has_value()}, bound.value_or(Bound{}),
                          context_.now);
    }
    if (bound) context_.counters.refuse(*bound);
}

// --- rates ---

void Session::charge_byte_rate(std::uint32_t bytes, Instant now) {
    const admission::Rate rate{profile_->bytes_per_s, profile_->bytes_burst};
    const bool is_new = inbox_ == nullptr;
    Inbox& in = use_inbox();
    if (is_new) in.bytes = admission::TokenBucket{rate, now};
    in.bytes.charge(rate, bytes, now);
    const Instant earliest = in.bytes.ready_at(rate, 0);
    if (earliest <= now || earliest <= in.rate_pause_until) return;
    in.rate_pause_until = earliest;
    context_.counters.rate_limited_total.add();
    note_refusal(RefusalKind::slowed_down, Bound{Limit::byte_rate, Scope::client});
}

bool Session::has_spent_bytes(Instant now) const noexcept {
    if (profile_ == nullptr || profile_->bytes_per_s == 0) return false;
    return !inbox_->bytes.is_full({profile_->bytes_per_s, profile_->bytes_burst}, now);
}

// --- shapes ---

std::optional<ReasonCode> Session::judge_shape(std::string_view topic,
                                               const mqtt::Publish& publish) {
    const auto refuse = [&](ReasonCode reason, Limit limit) {
        count_drop(DropReason::not_authorized, 1, {}, topic);
        note_refusal(RefusalKind::publish_refused, Bound{limit, Scope::client});
        return reason;
    };
    const Profile& profile = *profile_;
    if (profile.topic_levels_max != 0 && levels_of(topic) > profile.topic_levels_max) {
        return refuse(ReasonCode::topic_name_invalid, Limit::topic_levels);
    }
    if (publish.retain && profile.retained_payload_bytes_max != 0 &&
        publish.payload.size() > profile.retained_payload_bytes_max) {
        return refuse(ReasonCode::quota_exceeded, Limit::retained_bytes);
    }
    return std::nullopt;
}

// --- subscriptions ---

std::optional<Bound> Session::over_the_limit(std::string_view filter) const noexcept {
    const Profile& profile = *profile_;
    if (profile.topic_levels_max != 0 && levels_of(filter) > profile.topic_levels_max) {
        return Bound{Limit::topic_levels, Scope::client};
    }
    if (profile.wildcard_levels_max && wildcards_of(filter) > *profile.wildcard_levels_max) {
        return Bound{Limit::wildcard_levels, Scope::client};
    }
    return std::nullopt;
}

/// One more filter. What was taken stands in the shard's notes, so that it is given back whatever
/// becomes of the session.
std::optional<Bound> Session::take_subscription() {
    const std::uint32_t own_max = profile_->subscriptions_max;
    if (filters_.size() >= context_.limits.subscriptions_max ||
        (own_max != 0 && filters_.size() >= own_max)) {
        return Bound{Limit::subscriptions, Scope::client};
    }
    if (context_.ledger == nullptr) return std::nullopt;
    const memory::ZonePause pause;
    if (const auto whose = context_.ledger->try_take(tenant_, Quota::subscriptions)) {
        context_.ledger->tenant(tenant_).count_refusal(Limit::subscriptions);
        return Bound{Limit::subscriptions, *whose};
    }
    ++notes_.subscriptions_taken;
    return std::nullopt;
}

void Session::untake_subscription() noexcept {
    if (context_.ledger == nullptr) return;
    const memory::ZonePause pause;
    context_.ledger->give_back(tenant_, Quota::subscriptions);
    --notes_.subscriptions_taken;
}

}  // namespace mitu::broker
