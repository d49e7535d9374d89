// Traffic: who connects, who subscribes to what, who publishes where.

#include <fmt/format.h>

#include "bench/traffic.hpp"

namespace mitu::bench {
namespace {

/// Heartbeats go through the devices in this stride, so that neighbours are not warm in any cache.
constexpr std::uint64_t device_stride = 7'919;

/// The first level names the rule by which the null relay passes messages on.
const char* rule_of(Scenario scenario) noexcept {
    if (scenario == Scenario::pairs) return "pair";
    return scenario == Scenario::shared ? "shared" : "all";
}

}  // namespace

void Traffic::plan() {
    const bool to_each = options_.scenario == Scenario::fan_out || is_slow();
    const bool pairs = options_.scenario == Scenario::pairs;
    const bool shared = options_.scenario == Scenario::shared;
    const std::uint32_t clients = options_.clients;
    const std::uint32_t subscribers = to_each || pairs || shared ? clients : 1;
    const std::uint32_t publishers = to_each ? 1 : shared ? options_.publishers : clients;

    const auto topic = [&](std::uint32_t k) {
        return fmt::format("{}/d{:05}/telemetry", rule_of(options_.scenario), k);
    };
    const auto filter = [&](std::uint32_t k) -> std::string {
        if (shared) return "$share/members/shared/+/telemetry";
        if (to_each) return topic(0);
        return pairs ? topic(k) : "all/+/telemetry";
    };
    for (std::uint32_t k = 0; k < subscribers; ++k) {
        swarm_.plan(fmt::format("s{:05}", k), filter(k));
        Subscriber& subscriber = subscribers_.emplace_back();
        subscriber.publisher_first = pairs ? k : 0;
        if (shared) {
            subscriber.shares.resize(publishers);
        } else {
            subscriber.flows.resize(pairs ? 1 : publishers);
        }
    }
    copies_per_message_ = to_each ? subscribers : 1;
    for (std::uint32_t k = 0; k < publishers; ++k) {
        // As its topic has it, for brokers that let each publish to its own topics only.
        swarm_.plan(fmt::format("d{:05}", k), "");
        Publisher& publisher = publishers_.emplace_back(
            PublishPattern{topic(k), options_.qos, options_.payload_bytes, options_.version});
        if ((to_each || shared) && !options_.open_loop()) publisher.owed.resize(options_.window);
    }
    if (is_slow()) slow_.plan(topic(0));
    plan_round();
}

void Traffic::plan_round() {
    const std::uint64_t publishers = publishers_.size();
    const std::uint64_t stride = options_.scenario == Scenario::heartbeat ? device_stride : 1;
    std::vector<bool> taken(publishers);
    std::uint64_t at = 0;
    for (std::uint32_t slot = 0; slot < publishers; ++slot) {
        while (taken[at]) at = (at + 1) % publishers;  // the stride may divide the number
        taken[at] = true;
        publishers_[at].slot = slot;
        round_.push_back(static_cast<std::uint32_t>(at));
        at = (at + stride) % publishers;
    }
}

}  // namespace mitu::bench
