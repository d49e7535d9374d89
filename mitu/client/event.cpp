#include "mitu/client/event.hpp"

namespace mitu::client {

std::string_view to_text(EndCause cause) noexcept {
    switch (cause) {
        case EndCause::closed_by_peer:
            return "closed_by_peer";
        case EndCause::refused:
            return "refused";
        case EndCause::disconnected_by_server:
            return "disconnected_by_server";
        case EndCause::disconnected_by_client:
            return "disconnected_by_client";
        case EndCause::protocol_error:
            return "protocol_error";
        case EndCause::connack_timeout:
            return "connack_timeout";
        case EndCause::keep_alive_timeout:
            return "keep_alive_timeout";
    }
    return "unknown";
}

}  // namespace mitu::client
