// What is expected of the server.
#include <fmt/format.h>

#include "sim/scenario/performance.hpp"
#include "sim/scenario/values.hpp"

namespace mitu::sim::scenario {

Verdict Performance::mismatch(const CastMember& who, const Arrival& arrival, const ExpectStep& step,
                              std::uint32_t n) const {
    if (step.kind == ExpectStep::Kind::closed) {
        return arrival.type ? Verdict{"it is a packet"} : std::nullopt;
    }
    if (arrival.type != step.type) return "it is another packet";
    for (Want want : step.wants) {
        if (want.name == "payload") want.value = with_number(std::move(want.value), n);
        if (auto differs = difference(arrival.fields, want)) return differs;
    }
    const auto known = who.ids.find(step.id_name);
    if (!step.id_name.empty() && known != who.ids.end() && known->second != arrival.packet_id) {
        return fmt::format("id is {}, not {} ({})", arrival.packet_id, known->second, step.id_name);
    }
    return std::nullopt;
}

/// Takes the arrival that the step wants from the front of the queue, soft ones passed over.
bool Performance::fetch(CastMember& who, const ExpectStep& step, std::uint32_t n) {
    for (auto it = who.arrivals.begin(); it != who.arrivals.end(); ++it) {
        if (!mismatch(who, *it, step, n)) {
            if (!step.id_name.empty()) who.ids[step.id_name] = it->packet_id;
            who.arrivals.erase(it);
            return true;
        }
        if (!it->is_soft && !step.in_any_order) return false;
    }
    return false;
}

std::string Performance::never_came(const ExpectStep& step, std::uint32_t n) const {
    std::string text = fmt::format("it did not come within {}", duration_text(step.time));
    for (const std::size_t actor : step.actors) {
        const CastMember& who = *cast_[actor];
        const Arrival* nearest = who.first_hard();
        // Where the order is free, one of the same kind says more than the first of any kind.
        for (const Arrival& arrival : who.arrivals) {
            if (step.in_any_order && !arrival.is_soft && arrival.type == step.type) {
                nearest = &arrival;
                break;
            }
        }
        if (nearest != nullptr) {
            text += fmt::format("; what came to {} is {}: {}", who.name(), nearest->text(),
                                mismatch(who, *nearest, step, n).value_or(""));
        } else if (!who.is_open()) {
            text += fmt::format("; {} is not connected", who.name());
        }
    }
    return text;
}

Verdict Performance::expect_once(const ExpectStep& step, std::uint32_t n, Instant deadline) {
    Verdict wrong;
    const bool fetched = wait_until(deadline, [&] {
        for (const std::size_t actor : step.actors) {
            if (fetch(*cast_[actor], step, n)) return true;
        }
        // One actor, in order: what is at the front will not go away.
        if (step.actors.size() != 1 || step.in_any_order) return false;
        const CastMember& who = *cast_[step.actors[0]];
        const Arrival* const first = who.first_hard();
        if (first == nullptr) return false;
        wrong = fmt::format("what came is {}: {}", first->text(),
                            mismatch(who, *first, step, n).value_or(""));
        return true;
    });
    if (broken_rule_) return broken_rule_;
    if (wrong) return wrong;
    return fetched ? Verdict{} : never_came(step, n);
}

Verdict Performance::expect_nothing(const ExpectStep& step) {
    Verdict wrong;
    static_cast<void>(wait_until(stage_.now() + step.time, [&] {
        for (const std::size_t actor : step.actors) {
            if (const Arrival* const first = cast_[actor]->first_hard()) {
                wrong = fmt::format("{} came to {}", first->text(), cast_[actor]->name());
            }
        }
        return wrong.has_value();
    }));
    return broken_rule_ ? broken_rule_ : wrong;
}

Verdict Performance::take(const ExpectStep& step) {
    if (step.kind == ExpectStep::Kind::nothing) return expect_nothing(step);
    const Instant deadline = stage_.now() + step.time + stage_.patience();
    for (std::uint32_t n = 1; n <= step.times; ++n) {
        auto verdict = expect_once(step, n, deadline);
        if (!verdict) continue;
        return step.times == 1 ? std::move(*verdict)
                               : fmt::format("number {} of {}: {}", n, step.times, *verdict);
    }
    return std::nullopt;
}

}  // namespace mitu::sim::scenario
