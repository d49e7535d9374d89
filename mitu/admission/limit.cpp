#include "mitu/admission/limit.hpp"

namespace mitu::admission {

std::string_view to_text(Limit limit) noexcept {
    switch (limit) {
        case Limit::connections:
            return "connections";
        case Limit::sessions:
            return "sessions";
        case Limit::connect_rate:
            return "connect_rate";
        case Limit::message_rate:
            return "message_rate";
        case Limit::byte_rate:
            return "byte_rate";
        case Limit::subscriptions:
            return "subscriptions";
        case Limit::inflight:
            return "inflight";
        case Limit::queue:
            return "queue";
        case Limit::message_bytes:
            return "message_bytes";
        case Limit::retained_messages:
            return "retained_messages";
        case Limit::retained_bytes:
            return "retained_bytes";
        case Limit::packet_bytes:
            return "packet_bytes";
        case Limit::payload_bytes:
            return "payload_bytes";
        case Limit::topic_levels:
            return "topic_levels";
        case Limit::wildcard_levels:
            return "wildcard_levels";
        case Limit::flapping:
            return "flapping";
        case Limit::ban:
            return "ban";
        case Limit::memory:
            return "memory";
    }
    return "unknown";
}

std::string_view to_text(Scope scope) noexcept {
    switch (scope) {
        case Scope::client:
            return "client";
        case Scope::tenant:
            return "tenant";
        case Scope::listener:
            return "listener";
        case Scope::server:
            return "server";
    }
    return "unknown";
}

}  // namespace mitu::admission
