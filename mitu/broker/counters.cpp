#include "mitu/broker/counters.hpp"

namespace mitu::broker {

std::string_view to_text(DropReason reason) noexcept {
    switch (reason) {
        case DropReason::queue_full:
            return "queue_full";
        case DropReason::evicted_qos0:
            return "evicted_qos0";
        case DropReason::offline_qos0:
            return "offline_qos0";
        case DropReason::expired:
            return "expired";
        case DropReason::too_large_for_client:
            return "too_large_for_client";
        case DropReason::no_memory:
            return "no_memory";
        case DropReason::not_authorized:
            return "not_authorized";
        case DropReason::payload_too_large:
            return "payload_too_large";
        case DropReason::no_shared_member:
            return "no_shared_member";
        case DropReason::retained_quota:
            return "retained_quota";
        case DropReason::session_ended:
            return "session_ended";
        case DropReason::tenant_quota:
            return "tenant_quota";
        case DropReason::memory_pressure:
            return "memory_pressure";
        case DropReason::store_full:
            return "store_full";
    }
    return "unknown";
}

}  // namespace mitu::broker
