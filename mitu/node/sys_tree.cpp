#include "mitu/node/sys_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mitu::node {

SysFigures& SysFigures::operator+=(const SysFigures& other) noexcept {
    connected += other.connected;
    sessions += other.sessions;
    expired += other.expired;
    connects += other.connects;
    subscriptions += other.subscriptions;
    retained += other.retained;
    packets_received += other.packets_received;
    packets_sent += other.packets_sent;
    publishes_received += other.publishes_received;
    publishes_sent += other.publishes_sent;
    dropped += other.dropped;
    bytes_received += other.bytes_received;
    bytes_sent += other.bytes_sent;
    return *this;
}

namespace {

constexpr std::array<std::string_view, 4> of_server_alone{"messages/stored", "store/", "heap/",
                                                          "load/sockets/"};

}  // namespace

std::vector<SysValue> SysTree::update(const SysFigures& now, Instant uptime, Duration elapsed) {
    std::vector<SysValue> changed;
    const auto say = [&](std::string_view name, std::string payload) {
        std::string topic = fmt::format("$SYS/broker/{}", name);
        std::string& last = said_[topic];
        if (last == payload) return;
        last = payload;
        changed.push_back({std::move(topic), std::move(payload)});
    };
    const auto count = [&](std::string_view name, std::uint64_t value) {
        say(name, fmt::format("{}", value));
    };
    const auto load = [&](std::string_view name, std::uint64_t total) {
        const auto [at, is_new] = loads_.try_emplace(std::string{name}, Load{total, {}});
        Load& known = at->second;
        const double seconds = elapsed.as_seconds();
        // What was counted before the first look belongs to no interval.
        const bool goes_on = !is_new && seconds > 0 && total >= known.total;
        const double rate =
            goes_on ? static_cast<double>(total - known.total) * 60.0 / seconds : 0.0;
        known.total = total;
        constexpr std::array<double, 3> windows_s{60, 300, 900};
        constexpr std::array<std::string_view, 3> names{"1min", "5min", "15min"};
        for (std::size_t i = 0; i < windows_s.size(); ++i) {
            double& average = known.per_minute[i];
            if (goes_on) average = rate + std::exp(-seconds / windows_s[i]) * (average - rate);
            say(fmt::format("load/{}/{}", name, names[i]), fmt::format("{:.2f}", average));
        }
    };

    sessions_max_ = std::max(sessions_max_, now.sessions);
    say("version", version_);
    say("uptime", fmt::format("{} seconds", uptime.since_start_ns() / 1'000'000'000));
    count("clients/total", now.sessions);
    count("clients/maximum", sessions_max_);
    count("clients/connected", now.connected);
    count("clients/active", now.connected);
    const std::uint64_t away = now.sessions - std::min(now.sessions, now.connected);
    count("clients/disconnected", away);
    count("clients/inactive", away);
    count("clients/expired", now.expired);
    count("messages/received", now.packets_received);
    count("messages/sent", now.packets_sent);
    count("publish/messages/received", now.publishes_received);
    count("publish/messages/sent", now.publishes_sent);
    count("publish/messages/dropped", now.dropped);
    count("bytes/received", now.bytes_received);
    count("bytes/sent", now.bytes_sent);
    count("retained messages/count", now.retained);
    count("subscriptions/count", now.subscriptions);
    load("messages/received", now.packets_received);
    load("messages/sent", now.packets_sent);
    load("publish/received", now.publishes_received);
    load("publish/sent", now.publishes_sent);
    load("publish/dropped", now.dropped);
    load("bytes/received", now.bytes_received);
    load("bytes/sent", now.bytes_sent);
    load("connections", now.connects);
    if (now.server) {
        resident_max_ = std::max(resident_max_, now.server->resident_bytes);
        count("messages/stored", now.server->stored_messages);
        count("store/messages/count", now.server->stored_messages);
        count("store/messages/bytes", now.server->stored_bytes);
        count("heap/current", now.server->resident_bytes);
        count("heap/maximum", resident_max_);
        load("sockets", now.server->sockets_opened);
        return changed;
    }
    // Taken back: an empty payload.
    std::erase_if(said_, [&](const auto& said) {
        const std::string& topic = said.first;
        const bool is_servers = std::ranges::any_of(of_server_alone, [&](std::string_view name) {
            return topic.starts_with(std::string{"$SYS/broker/"} + std::string{name});
        });
        if (is_servers) changed.push_back({topic, {}});
        return is_servers;
    });
    return changed;
}

std::vector<std::string> SysTree::topics() const {
    std::vector<std::string> all;
    all.reserve(said_.size());
    for (const auto& [topic, payload] : said_) all.push_back(topic);
    return all;
}

}  // namespace mitu::node
