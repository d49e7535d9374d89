#pragma once
// A client of a crash run, with what it may expect of a server that forgets nothing.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "mitu/broker/testing/peer.hpp"
#include "mitu/broker/testing/virtual_network.hpp"

namespace mitu::journal::testing {

using broker::testing::Peer;

/// A subscription, as far as its client can know.
struct KnownFilter {
    enum class State : std::uint8_t { no, maybe, yes };
    State state = State::no;
    mqtt::QoS qos = mqtt::QoS::at_least_once;
    std::uint64_t since = 0;  // of the SUBACK; it says whether it is still the same
};

struct Device {
    std::string id;
    std::vector<std::string> filters{};         // that it may subscribe to
    std::map<std::string, mqtt::QoS> qos_of{};  // of each, always the same
    std::string group{};                        // of all of its filters; empty: not shared
    std::vector<std::pair<std::string, mqtt::QoS>> topics{};  // that it publishes to
    std::uint32_t expiry_s = 3'600;  // 0: its session ends with its connection
    bool may_start_clean = true;
    bool has_will = false;
    std::uint32_t will_delay_s = 0;

    // --- its side of the protocol ---
    std::unique_ptr<Peer> peer{};
    std::shared_ptr<broker::testing::VirtualSocket> socket{};
    bool reads = true;
    bool is_in = false;  // CONNACK came on this connection
    bool starts_clean = false;
    std::map<std::uint16_t, std::string> subscribing{};    // by packet id
    std::map<std::uint16_t, std::string> unsubscribing{};  // by packet id
    std::map<std::uint16_t, std::size_t> publishing{};     // by packet id: which message

    // --- its session ---
    std::uint64_t incarnation = 1;  // another one whenever the session may be another one
    bool must_be_there = false;
    bool is_uncertain = false;     // a clean start without an answer
    std::int64_t left_ms = 0;      // by the wall
    std::uint64_t left_start = 0;  // of which process
    std::map<std::string, KnownFilter> known{};
    std::set<std::string> received{};                             // payloads, in this incarnation
    std::map<std::pair<std::string, int>, std::uint64_t> last{};  // by topic and QoS: order
    std::uint64_t wills = 0;                                      // connections that had one
    std::uint64_t will_since = 0;                                 // of its CONNACK
    std::string will_owed{};       // its payload; empty: none that must come
    std::uint64_t will_start = 0;  // of its CONNACK: which process
    std::string will_before{};     // of the connection before this one, if both are one process's
    std::uint64_t will_before_since = 0;

    [[nodiscard]] bool is_open() const noexcept {
        return socket && !socket->closed_by_client && !socket->closed_by_broker;
    }
    [[nodiscard]] bool may_talk() const noexcept { return is_open() && is_in; }
};

}  // namespace mitu::journal::testing
