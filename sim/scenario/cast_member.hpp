#pragma once
// Internal: an actor on stage: its Peer, its connection, and what came and was not yet expected.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mitu/broker/testing/peer.hpp"
#include "sim/scenario/fields.hpp"
#include "sim/scenario/scenario.hpp"
#include "sim/scenario/stage.hpp"

namespace mitu::sim::scenario {

/// Something that came to an actor: a packet, or the end of its connection.
struct Arrival {
    std::optional<mqtt::PacketType> type;  // nullopt: the server closed
    Fields fields;
    std::uint16_t packet_id = 0;
    std::vector<mqtt::ReasonCode> reasons;
    /// Part of an exchange that the actor goes through by itself, or an answer already seen to: an
    /// expectation may have it, and passes over it otherwise.
    bool is_soft = false;

    [[nodiscard]] std::string text() const;
};

class CastMember {
public:
    using Note = std::function<void(const CastMember&, std::string_view what)>;
    CastMember(const Actor& actor, Stage& stage, Note note);

    /// Takes what the stage has for it.
    void pump();

    /// Errors  a sentence.
    [[nodiscard]] std::optional<std::string> open(const ConnectOptions& options);
    void close();
    void reset();
    [[nodiscard]] bool is_open() const noexcept { return connection_.has_value(); }
    void set_flow(Flow flow);

    /// The id that it stands for; nullopt: nothing has this name.
    [[nodiscard]] std::optional<std::uint16_t> resolve(const IdRef& id) const;
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// The rule that the server broke towards it; empty: none.
    [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

    /// Forgets arrivals that are soft, of one type or all.
    void drop_soft(std::optional<mqtt::PacketType> type = std::nullopt);
    /// The first that is not soft; nullptr: there is none.
    [[nodiscard]] const Arrival* first_hard() const;

    broker::testing::Peer peer;
    std::deque<Arrival> arrivals;
    std::map<std::string, std::uint16_t> ids;  // by the names that expectations gave
    bool says_goodbye = false;                 // it expects the server to close

private:
    void on_seen(const broker::testing::SeenPacket& seen);
    void on_written(ByteView bytes);

    std::string name_;
    Stage& stage_;
    Note note_;
    std::optional<Stage::Connection> connection_;
    std::string complaint_;
};

}  // namespace mitu::sim::scenario
