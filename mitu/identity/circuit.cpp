#include "mitu/identity/circuit.hpp"

#include "mitu/base/check.hpp"

namespace mitu::identity {

std::string_view name_of(CircuitState state) noexcept {
    switch (state) {
        case CircuitState::closed:
            return "closed";
        case CircuitState::open:
            return "open";
        case CircuitState::half_open:
            return "half_open";
    }
    return "";
}

Circuit::Permit Circuit::try_acquire(Instant now) noexcept {
    if (is_open_) {
        if (is_probing_ || now < retry_at_) return Permit::open;
        // Requests of before it opened may still be on their way; the probe goes beside them.
        is_probing_ = true;
        ++in_flight_;
        return Permit::granted;
    }
    if (in_flight_ >= options_.in_flight_max) return Permit::busy;
    ++in_flight_;
    return Permit::granted;
}

void Circuit::on_success() noexcept {
    MITU_CHECK(in_flight_ > 0);
    --in_flight_;
    failures_ = 0;
    is_open_ = false;
    is_probing_ = false;
}

void Circuit::on_failure(Instant now) noexcept {
    MITU_CHECK(in_flight_ > 0);
    --in_flight_;
    if (failures_ < options_.failures_to_open) ++failures_;
    if (failures_ < options_.failures_to_open) return;
    is_open_ = true;
    is_probing_ = false;
    retry_at_ = now + options_.open_for;
}

CircuitState Circuit::state(Instant now) const noexcept {
    if (!is_open_) return CircuitState::closed;
    return is_probing_ || now >= retry_at_ ? CircuitState::half_open : CircuitState::open;
}

}  // namespace mitu::identity
